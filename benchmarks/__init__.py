"""Benchmarks: speed and accuracy, measured: every figure in the README has a command here."""
