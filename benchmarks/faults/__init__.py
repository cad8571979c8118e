"""A live source that fails in every way it can, and what the stream makes of it."""
