"""Reasoning models: networks and endpoints that read a sentence by themselves, a file each."""
