"""Measures of the two speeds: how hard is hard, when the deep one is asked, and what both cost."""
