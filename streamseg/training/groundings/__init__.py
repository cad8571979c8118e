"""Groundings to learn from: pictures of synthetic scenes, sentences about them, what is right."""

from streamseg.training.groundings.cache import Recipe, Shard, read_shards, render
from streamseg.training.groundings.samples import Sentence, Thing, View

__all__ = ["Recipe", "Sentence", "Shard", "Thing", "View", "read_shards", "render"]
