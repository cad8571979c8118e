"""Benchmarks: speed and accuracy, measured; every figure that the README quotes has a command here."""
