"""Keyframes: cheap signals per frame decide when the reasoner is asked, about which frame."""
