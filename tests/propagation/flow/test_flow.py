"""The classical propagator follows, re-cuts, doubts, loses and finds again."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import frame
from hypothesis import given, settings
from hypothesis import strategies as st

from streamseg.config import FlowConfig
from streamseg.propagation.flow.pictures import FlowEngine
from streamseg.propagation.flow.propagator import FlowPropagator
from streamseg.types import Frame, Image, Mask

CLIPS = Path(__file__).parents[4] / "shared" / "clips"
WIDTH, HEIGHT = 320, 240
RED, BLUE, GREEN = (200, 40, 40), (40, 60, 200), (40, 160, 60)


def ground(shift: tuple[int, int] = (0, 0)) -> Image:
    """A grey, textured ground, always the same, seen by a camera moved by `shift`."""
    rng = np.random.default_rng(3)
    noise = rng.normal(0, 1, (HEIGHT + 200, WIDTH + 200)).astype(np.float32)
    waves = cv2.GaussianBlur(noise, (0, 0), 2.5)
    grey = 140 + 30 * waves / waves.std()
    x, y = 100 + shift[0], 100 + shift[1]
    view = grey[y : y + HEIGHT, x : x + WIDTH].clip(0, 255).astype(np.uint8)
    return np.repeat(view[..., None], 3, axis=2)


def disc_mask(centre: tuple[int, int], radius: int = 24) -> Mask:
    canvas = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.circle(canvas, centre, radius, 1, -1)
    return canvas.astype(bool)


def picture(
    *discs: tuple[tuple[int, int], tuple[int, int, int]], shift: tuple[int, int] = (0, 0)
) -> Image:
    """The ground with discs (centre, colour) on it, the last one uppermost."""
    image = ground(shift)
    for centre, colour in discs:
        image[disc_mask(centre)] = colour
    return image


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def follow(images: list[Image], seed: Mask, stride: int = 1) -> list[tuple[Mask, float]]:
    """Mask and score of object 7 on every image, seeded on the first."""
    propagator = FlowPropagator(FlowConfig())
    out = []
    for index, image in enumerate(images):
        step = propagator.step(frame(index * stride, image=image), {7: seed} if not out else None)
        out.append((step.labels == 7, step.scores[7]))
    return out


def test_follows_a_moving_object_to_the_pixel() -> None:
    centres = [(60 + 4 * k, 100 + 2 * k) for k in range(25)]
    out = follow([picture((c, RED)) for c in centres], disc_mask(centres[0]))
    assert min(iou(mask, disc_mask(c)) for (mask, _), c in zip(out, centres, strict=True)) > 0.93
    assert min(score for _, score in out) > 0.5


@pytest.mark.parametrize("step", [(30, 0), (-18, 14)])
def test_follows_jumps_of_more_than_half_its_width(step: tuple[int, int]) -> None:
    start = (50, 60) if step[0] > 0 else (260, 60)
    centres = [(start[0] + step[0] * k, start[1] + step[1] * k) for k in range(7)]
    out = follow([picture((c, RED)) for c in centres], disc_mask(centres[0]))
    assert min(iou(mask, disc_mask(c)) for (mask, _), c in zip(out, centres, strict=True)) > 0.85


def test_follows_across_skipped_frames() -> None:
    centres = [(50 + 15 * k, 100) for k in range(12)]
    out = follow([picture((c, RED)) for c in centres], disc_mask(centres[0]), stride=5)
    assert min(iou(mask, disc_mask(c)) for (mask, _), c in zip(out, centres, strict=True)) > 0.85


def test_holds_still_on_a_camera_that_moves() -> None:
    images = [picture(((160, 120), RED), shift=(5 * k, -3 * k)) for k in range(15)]
    out = follow(images, disc_mask((160, 120)))
    assert min(iou(mask, disc_mask((160, 120))) for mask, _ in out) > 0.93


def test_holds_when_the_lamp_goes_out() -> None:
    images = [picture(((100 + 2 * k, 120), RED)) for k in range(20)]
    images[8:] = [(image * 0.65).astype(np.uint8) for image in images[8:]]
    out = follow(images, disc_mask((100, 120)))
    assert iou(out[-1][0], disc_mask((138, 120))) > 0.9


def test_mends_a_mask_with_a_ragged_edge() -> None:
    ragged = cv2.dilate(disc_mask((100, 120)).view(np.uint8), np.ones((7, 7))).astype(bool)
    out = follow([picture(((100 + k, 120), RED)) for k in range(12)], ragged)
    assert iou(out[0][0], disc_mask((100, 120))) < 0.85
    assert iou(out[-1][0], disc_mask((111, 120))) > 0.93


@pytest.mark.parametrize("jump", [44, 60])
def test_follows_a_bounce_that_turns_its_motion_round(jump: int) -> None:
    down = [(160, 40 + 9 * k) for k in range(14)]
    up = [(160, down[-1][1] - jump - 9 * k) for k in range(6)]
    out = follow([picture((c, RED)) for c in down + up], disc_mask(down[0]))
    late = zip(out[len(down) :], up, strict=True)
    assert min(iou(mask, disc_mask(c)) for (mask, _), c in late) > 0.85


def test_a_patterned_look_alike_that_passes_over_is_not_claimed() -> None:
    rng = np.random.default_rng(5)
    cover = np.clip(
        cv2.GaussianBlur(rng.normal(0, 60, (90, 90, 1)), (0, 0), 2)[..., None] * 3, -30, 30
    )
    own = np.clip(
        cv2.GaussianBlur(rng.normal(0, 60, (49, 49, 1)), (0, 0), 2)[..., None] * 3, -30, 30
    )

    def scene(k: int) -> Image:
        image = picture()
        inside = disc_mask((100 + k, 120))[96:145, 76 + k : 125 + k]
        image[96:145, 76 + k : 125 + k][inside] = (np.array(RED) + own).astype(np.uint8)[inside]
        left = 220 - 3 * k
        image[80:170, left : left + 90] = (np.array(RED) + cover).astype(np.uint8)
        return image

    out = follow([scene(k) for k in range(36)], disc_mask((100, 120)))
    area = np.pi * 24**2
    for k, (mask, score) in enumerate(out):
        claimed = int(mask[80:170, 220 - 3 * k : 310 - 3 * k].sum())
        assert claimed < 0.25 * area or score < 0.5, k
    assert iou(out[18][0], disc_mask((118, 120))) > 0.85


def test_lets_go_when_the_object_leaves_and_finds_it_when_it_returns() -> None:
    x = [260 + 10 * k for k in range(10)] + [360] * 20 + [360 - 10 * k for k in range(1, 16)]
    out = follow([picture(((c, 120), RED)) for c in x], disc_mask((260, 120)))
    gone = [k for k, c in enumerate(x) if c >= WIDTH + 24]
    assert sum(out[k][0].any() for k in gone) <= 5
    assert all(out[k][1] < 0.2 for k in gone[6:])
    assert iou(out[-1][0], disc_mask((x[-1], 120))) > 0.9
    assert out[-1][1] >= 0.5


def test_lets_go_behind_an_occluder_and_never_claims_it() -> None:
    def scene(x: int) -> Image:
        image = picture(((x, 120), RED))
        image[60:180, 140:220] = BLUE
        return image

    x = [60 + 5 * k for k in range(50)]
    out = follow([scene(c) for c in x], disc_mask((60, 120)))
    wall = np.zeros((HEIGHT, WIDTH), bool)
    wall[60:180, 140:220] = True
    claimed = [int((mask & wall).sum()) for mask, _ in out]
    hidden = [k for k, c in enumerate(x) if 164 <= c <= 196]
    assert max(claimed) < 0.15 * np.pi * 24**2
    assert all(not out[k][0].any() for k in hidden[3:])
    assert iou(out[-1][0], disc_mask((x[-1], 120))) > 0.9


def test_a_look_alike_of_another_shape_is_refused() -> None:
    def scene(x: int) -> Image:
        image = picture(((x, 60), RED))
        cv2.drawMarker(image, (120, 170), RED, cv2.MARKER_CROSS, 80, 14)
        return image

    x = [260 + 12 * k for k in range(10)] + [368] * 40
    out = follow([scene(c) for c in x], disc_mask((260, 60)))
    assert not any(mask.any() for mask, _ in out[14:])


def test_a_cut_to_another_picture_is_not_followed() -> None:
    images = [picture(((100, 120), RED))] * 4
    images += [np.ascontiguousarray(255 - ground((60, 60)))] * 12
    out = follow(images, disc_mask((100, 120)))
    assert not any(mask.any() for mask, _ in out[-6:])
    assert out[-1][1] < 0.2


def test_objects_that_cross_share_no_pixel_and_keep_their_ids() -> None:
    propagator = FlowPropagator(FlowConfig())
    for k in range(30):
        ours, theirs = (60 + 6 * k, 110), (240 - 6 * k, 125)
        seeds = {1: disc_mask(ours), 2: disc_mask(theirs)} if k == 0 else None
        out = propagator.step(frame(k, image=picture((ours, RED), (theirs, GREEN))), seeds)
    assert out.labels.dtype == np.uint16
    assert propagator.ids == (1, 2)
    assert iou(out.labels == 1, disc_mask(ours)) > 0.9
    assert iou(out.labels == 2, disc_mask(theirs)) > 0.9


def test_labels_have_the_size_of_the_frame_above_working_size() -> None:
    big = [cv2.resize(picture(((80 + 3 * k, 120), RED)), (1280, 960)) for k in range(6)]
    truth = [cv2.resize(disc_mask((80 + 3 * k, 120)).view(np.uint8), (1280, 960)) for k in range(6)]
    out = follow(big, truth[0].astype(bool))
    assert out[-1][0].shape == (960, 1280)
    assert iou(out[-1][0], truth[-1].astype(bool)) > 0.93


def clip(count: int) -> list[Frame]:
    return [
        frame(k, image=picture(((60 + 5 * k, 100), RED), ((240 - 5 * k, 180), GREEN)))
        for k in range(count)
    ]


def test_a_fork_goes_its_own_way() -> None:
    frames = clip(8)
    propagator = FlowPropagator(FlowConfig())
    propagator.step(frames[0], {1: disc_mask((60, 100))})
    twin = propagator.fork()
    for item in frames[1:6]:
        twin.step(item)
    straight = propagator.step(frames[1])
    assert iou(straight.labels == 1, disc_mask((65, 100))) > 0.93
    twin.remove([1])
    assert propagator.ids == (1,)
    assert twin.ids == ()


def test_a_lane_is_adopted_under_other_ids() -> None:
    frames = clip(6)
    propagator = FlowPropagator(FlowConfig())
    for k, item in enumerate(frames):
        propagator.step(item, {1: disc_mask((60, 100))} if k == 0 else None)
    lane = propagator.spawn()
    assert lane.ids == ()
    for k, item in enumerate(frames[2:], start=2):
        lane.step(item, {1: disc_mask((240 - 5 * k, 180))} if k == 2 else None)
    out = propagator.adopt(lane, {1: 9})
    assert propagator.ids == (1, 9)
    assert iou(out.labels == 1, disc_mask((85, 100))) > 0.9
    assert iou(out.labels == 9, disc_mask((215, 180))) > 0.9
    assert set(out.scores) == {1, 9}


def test_flow_is_computed_once_per_pair_of_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    real = FlowEngine.between

    def counting(self: FlowEngine, *args: object) -> object:
        calls.append(1)
        return real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(FlowEngine, "between", counting)
    frames = clip(6)
    for stride, total in ((1, 5), (1, 5), (2, 7)):
        propagator = FlowPropagator(FlowConfig())
        for item in frames[::stride]:
            propagator.step(item, None if propagator.ids else {1: disc_mask((60, 100))})
        assert len(calls) == total
    assert all(item.nbytes < 5 * item.image.nbytes for item in frames)


def test_the_same_run_gives_the_same_masks() -> None:
    images = [item.image for item in clip(10)]
    one, other = (follow(images, disc_mask((60, 100))) for _ in range(2))
    assert all((a == b).all() and s == t for (a, s), (b, t) in zip(one, other, strict=True))


def test_a_correction_replaces_the_mask() -> None:
    frames = clip(3)
    propagator = FlowPropagator(FlowConfig())
    propagator.step(frames[0], {1: disc_mask((60, 100))})
    propagator.step(frames[1], {1: disc_mask((235, 180))})
    out = propagator.step(frames[2])
    assert iou(out.labels == 1, disc_mask((230, 180))) > 0.9


def test_an_empty_seed_is_an_object_not_seen() -> None:
    propagator = FlowPropagator(FlowConfig())
    for item in clip(4):
        out = propagator.step(
            item, {5: np.zeros((HEIGHT, WIDTH), bool)} if not item.index else None
        )
        assert out.scores[5] == 0.0
        assert not out.labels.any()


def test_reset_and_a_new_size_forget_everything() -> None:
    propagator = FlowPropagator(FlowConfig())
    propagator.step(clip(1)[0], {1: disc_mask((60, 100))})
    out = propagator.step(frame(1, size=(64, 48)))
    assert propagator.ids == ()
    assert out.labels.shape == (48, 64)
    propagator.step(frame(2, size=(64, 48)), {1: np.ones((48, 64), bool)})
    propagator.reset()
    assert propagator.ids == ()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), width=st.integers(16, 90), height=st.integers(16, 90))
def test_any_seed_on_any_picture_gives_labels_and_scores_in_range(
    data: st.DataObject, width: int, height: int
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    propagator = FlowPropagator(FlowConfig(max_side=64, flow_side=32))
    for index in range(4):
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        seeds = {}
        if index < 2:
            x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
            mask = np.zeros((height, width), bool)
            across, down = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 40))
            mask[y0 : y0 + down, x0 : x0 + across] = True
            seeds = {index + 1: mask}
        out = propagator.step(frame(index, image=image), seeds)
        assert out.labels.shape == (height, width)
        assert set(np.unique(out.labels)) <= {0, 1, 2}
        assert all(0.0 <= score <= 1.0 for score in out.scores.values())


@pytest.mark.skipif(not CLIPS.is_dir(), reason="needs the real clips in ../shared/clips")
def test_holds_the_blue_mug_over_the_real_clip() -> None:
    import av

    truth = np.load(CLIPS / "04_coffee_blue_mug.npz")
    bits = np.unpackbits(truth["bits"], axis=1)[:, : 720 * 1280].reshape(-1, 720, 1280)
    masks = dict(zip(truth["index"].tolist(), bits.astype(bool), strict=True))
    propagator = FlowPropagator(FlowConfig())
    scores = []
    with av.open(str(CLIPS / "04_coffee.mp4")) as container:
        for index, decoded in enumerate(container.decode(video=0)):
            if index % 5:
                continue
            item = frame(index, image=decoded.to_ndarray(format="rgb24"))
            out = propagator.step(item, {1: masks[0]} if index == 0 else None)
            if index in masks:
                scores.append(iou(out.labels == 1, masks[index]))
    assert float(np.mean(scores)) > 0.92
