"""The reasoner in a process of its own, and how one speaks with it."""
