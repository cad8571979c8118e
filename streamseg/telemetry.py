"""Counters and timings of a run, in constant memory however long the stream lives."""
