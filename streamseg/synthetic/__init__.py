"""Synthetic scenes: seeded procedural clips with exact masks, expressions and difficulty."""
