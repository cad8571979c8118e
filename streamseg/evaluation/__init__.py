"""Evaluation: is the mask right, and was it there in time."""
