"""High dynamic range and wide gamut brought to SDR, held against the standards' own formulas."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg.sources.pictures import tone
from streamseg.sources.pictures.tone import HLG, PQ, Tone

TO_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
COLOURS = np.array([[220, 30, 30], [30, 60, 220], [128, 128, 128], [40, 200, 60], [3, 3, 3]])


def pq(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """ST 2084's inverse EOTF of light in units of 100 nits."""
    power = (np.maximum(light, 0) / 100) ** 0.1593017578125
    signal: NDArray[np.float64] = (
        (0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)
    ) ** 78.84375
    return signal


def hlg(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """ARIB STD-B67's OETF after the inverse of the system gamma, on a display of 1000 nits."""
    scene = (np.maximum(light, 0) / 10) ** (1 / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize(("transfer", "encode"), [(PQ, pq), (HLG, hlg)])
def test_sdr_colours_come_back(transfer: int, encode: object, bits: int) -> None:
    assert callable(encode)
    light = (COLOURS / 255) ** 2.4 @ TO_BT2020.T
    signal = np.rint(encode(light) * (2**bits - 1)).astype(np.uint16)[None]
    shown = Tone(transfer, 9).map(signal, bits)
    # The darkest step of 10 bits is coarse where a matrix subtracts.
    np.testing.assert_allclose(shown[0], COLOURS, atol=10 if bits == 10 else 4)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_highlights_keep_their_order_and_end_at_white(transfer: int) -> None:
    ramp = np.arange(1024, dtype=np.uint16)[None, :, None].repeat(3, axis=2)
    shown = Tone(transfer, 9).map(ramp, 10)[0, :, 1].astype(int)
    assert (np.diff(shown) >= 0).all()
    assert shown[0] == 0
    assert shown[-1] == 255


def test_what_is_sdr_needs_no_tone() -> None:
    assert Tone.needed(1, 1) is None
    assert Tone.needed(2, 2) is None
    assert Tone.needed(6, 5) is None
    assert Tone.needed(14, 9) == Tone(14, 9)
    assert Tone.needed(HLG, 2) == Tone(HLG, 2)


def test_wide_gamut_of_sdr_is_brought_to_bt709() -> None:
    signal = ((COLOURS / 255) ** 2.4 @ TO_BT2020.T) ** (1 / 2.4)
    shown = Tone(1, 9).map(np.rint(signal * 65_535).astype(np.uint16)[None], 16)
    np.testing.assert_allclose(shown[0], COLOURS, atol=4)


def test_older_opencv_looks_up_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.arange(1024, dtype=np.uint16)[None, :, None].repeat(3, axis=2)
    wanted = Tone(PQ, 9).map(ramp, 10)

    def refuse(*_: object) -> None:
        raise cv2.error("only bytes")

    monkeypatch.setattr(tone.cv2, "LUT", refuse)
    np.testing.assert_array_equal(Tone(PQ, 9).map(ramp, 10), wanted)
