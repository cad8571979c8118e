"""What transformers' own SAM2 makes of a picture and a target, step by step, for tests."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn import functional
from transformers import Sam2Model

from streamseg.nets.sam2_selftest import selftest_sam2
from streamseg.types import Frame, Mask, Target

MUG = Target(box=(110, 50, 190, 130), positive=((150.0, 90.0),), negative=((60.0, 20.0),))
BALL = Target(box=(10, 10, 60, 80), positive=((30.0, 40.0),), negative=((70.0, 5.0),))
BARE = Target(box=(200, 100, 300, 170))


def make_frame(seed: int = 0, height: int = 180, width: int = 320) -> Frame:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (6, 8, 3), dtype=np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image.flags.writeable = False
    return Frame(index=seed, pts_ns=0, epoch=0, image=image)


def iou(a: Mask, b: Mask) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def balanced(seed: int = 1) -> Sam2Model:
    """A network whose masks cover about half of the picture, so that a difference would show."""
    network = selftest_sam2(seed)
    for mlp in network.mask_decoder.output_hypernetworks_mlps:
        mlp.proj_out.bias.data.sub_(1.0)
    return network


def reference(network: Sam2Model, frame: Frame, target: Target) -> tuple[Mask, float]:
    """The official steps one by one: float picture in [0, 1], resize, normalise, one forward."""
    size = network.config.prompt_encoder_config.image_size
    picture = torch.tensor(frame.image).permute(2, 0, 1)[None] / 255.0
    picture = functional.interpolate(
        picture, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    scale = torch.tensor([size / frame.width, size / frame.height])
    x0, y0, x1, y1 = target.box
    box = (torch.tensor([[x0, y0], [x1 - 1, y1 - 1]]) * scale).reshape(1, 1, 4)
    points = torch.tensor([*target.positive, *target.negative]).reshape(1, 1, -1, 2) * scale
    labels = torch.tensor([1] * len(target.positive) + [0] * len(target.negative))
    with torch.no_grad():
        output = network(
            pixel_values=(picture - mean) / std,
            input_boxes=box,
            input_points=points if len(labels) else None,
            input_labels=labels.reshape(1, 1, -1) if len(labels) else None,
        )
    best = int(output.iou_scores[0, 0].argmax())
    logits = functional.interpolate(
        output.pred_masks[0, :, best][None],
        size=(frame.height, frame.width),
        mode="bilinear",
        align_corners=False,
    )
    return logits[0, 0].numpy() > 0, float(output.iou_scores[0, 0, best])
