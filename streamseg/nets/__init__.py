"""Networks: torch definitions only; used by engines, export and training, never by stages."""
