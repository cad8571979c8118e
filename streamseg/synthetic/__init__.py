"""Synthetic scenes: seeded procedural clips with exact masks, expressions and difficulty.

scene = synthetic.scene("medium", seed=3, split="train")
image, labels = scene.frame(17)
for expression in scene.expressions:
    print(expression.text, expression.object_ids)
"""

from streamseg.synthetic.plays import SPLITS
from streamseg.synthetic.scenes import DEFAULT_FPS, DEFAULT_SIZE, NAMES, Scene, scene
from streamseg.synthetic.sentences.expressions import Expression, ExpressionKind
from streamseg.synthetic.stage import SceneObject

__all__ = [
    "DEFAULT_FPS",
    "DEFAULT_SIZE",
    "NAMES",
    "SPLITS",
    "Expression",
    "ExpressionKind",
    "Scene",
    "SceneObject",
    "scene",
]
