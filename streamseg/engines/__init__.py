"""Engines: named tensors in, named tensors out. They do not know frames, masks or streams."""
