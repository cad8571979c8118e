"""A small reasoner of our own: Qwen3-VL's architecture, some 2.5 M parameters, trained from
nothing on synthetic scenes."""
