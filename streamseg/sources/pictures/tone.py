"""Brings pictures of high dynamic range or wide gamut (BT.2020, P3) to what an SDR screen shows.

Three steps a pixel, each one call of OpenCV: a table to light, a matrix to BT.709's primaries, a
table back to a signal. Knows arrays and the numbers of ITU-T H.273; knows no decoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.types import Image

Reals = NDArray[np.float64]
T = TypeVar("T", np.uint8, np.float32)

PQ, HLG = 16, 18
"""Transfer characteristics of H.273: SMPTE ST 2084 and ARIB STD-B67."""

_TO_BT709 = {
    9: ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187)),
    12: ((1.2249, -0.2247, 0.0), (-0.0421, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979)),
}
"""Linear light of BT.2020 (BT.2087) and of Display P3 (SMPTE EG 432-1) to BT.709's."""

_UNITY = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
_WHITE_NITS = 100.0  # what SDR shows as white; zscale's and FFmpeg's usual npl
_HLG_PEAK_NITS = 1000.0
_PQ_PEAK_NITS = 10_000.0
_SYSTEM_GAMMA = 1.2  # BT.2100's for 1000 nits; to each channel, as zimg (and so FFmpeg) applies it
_DISPLAY_GAMMA = 2.4  # BT.1886
_KNEE = 0.8  # of white; light below it is left as it is
_LIGHT_STEPS = 65_535
_STRIP_PIXELS = 1 << 15  # what a core's cache holds of all steps


@dataclass(frozen=True, slots=True)
class Tone:
    """One way from a signal to SDR: of a transfer and primaries, by the numbers of H.273.

    Attributes:
        transfer: PQ, HLG, or any other, which is taken for SDR.
        primaries: 9 for BT.2020, 12 for Display P3, any other for BT.709's.
    """

    transfer: int
    primaries: int

    @classmethod
    def needed(cls, transfer: int, primaries: int) -> Tone | None:
        """The tone of a picture tagged so, None where it is SDR with BT.709's primaries or near."""
        if transfer in (PQ, HLG) or primaries in _TO_BT709:
            return cls(transfer, primaries)
        return None

    def map(self, signal: NDArray[np.uint8] | NDArray[np.uint16], bits: int) -> Image:
        """(H, W, 3) RGB signal of `bits` bits, full range, to (H, W, 3) uint8 RGB for SDR."""
        shown = np.empty(signal.shape, np.uint8)
        rows = max(1, _STRIP_PIXELS // max(1, signal.shape[1]))
        for top in range(0, len(signal), rows):
            strip = slice(top, top + rows)
            shown[strip] = self._mapped(signal[strip], bits)
        return shown

    def _mapped(self, signal: NDArray[np.uint8] | NDArray[np.uint16], bits: int) -> Image:
        table = _light_table(self.transfer, bits)
        light = np.asarray(cv2.transform(_looked_up(table, signal), _matrix(self.primaries)))
        cv2.threshold(light, 0.0, 0.0, cv2.THRESH_TOZERO, dst=light)
        # The root spends the steps of 16 bits evenly over what the eye tells apart.
        cv2.sqrt(light, dst=light)
        light *= _LIGHT_STEPS / _peak(self.transfer) ** 0.5
        np.minimum(light, _LIGHT_STEPS, out=light)
        return _looked_up(_signal_table(self.transfer), light.astype(np.uint16))


def _looked_up(table: NDArray[T], indices: NDArray[np.uint8] | NDArray[np.uint16]) -> NDArray[T]:
    """`table[0][indices]`; OpenCV is several times faster where it can, for 16 bits from 5.0 on."""
    try:
        found: NDArray[T] = np.asarray(cv2.LUT(indices, table), table.dtype)
    except cv2.error:
        found = table[0][indices]
    return found


def _peak(transfer: int) -> float:
    """The brightest light, in units of SDR's white."""
    return {PQ: _PQ_PEAK_NITS, HLG: _HLG_PEAK_NITS}.get(transfer, _WHITE_NITS) / _WHITE_NITS


@lru_cache(maxsize=8)
def _light_table(transfer: int, bits: int) -> NDArray[np.float32]:
    """(1, 256 or 65536) display light in units of SDR's white, for each value of the signal."""
    highest = 2**bits - 1
    signal = np.minimum(np.arange(256 if bits == 8 else 65_536), highest) / highest
    light = {PQ: _pq_light, HLG: _hlg_light}.get(transfer, _sdr_light)(signal)
    return light.astype(np.float32)[None]


@lru_cache(maxsize=8)
def _signal_table(transfer: int) -> NDArray[np.uint8]:
    """(1, 65536) uint8 SDR signal for each step of the root of light."""
    peak = _peak(transfer)
    light = (np.arange(_LIGHT_STEPS + 1) / _LIGHT_STEPS) ** 2 * peak
    shown = _rolled_off(light, peak) ** (1 / _DISPLAY_GAMMA)
    return np.rint(255 * np.clip(shown, 0.0, 1.0)).astype(np.uint8)[None]


@lru_cache(maxsize=8)
def _matrix(primaries: int) -> NDArray[np.float32]:
    return np.asarray(_TO_BT709.get(primaries, _UNITY), np.float32)


def _pq_light(signal: Reals) -> Reals:
    """SMPTE ST 2084's EOTF."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    nits = _PQ_PEAK_NITS * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return np.asarray(nits / _WHITE_NITS)


def _hlg_light(signal: Reals) -> Reals:
    """ARIB STD-B67's inverse OETF, then the system gamma."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return np.asarray(scene**_SYSTEM_GAMMA * _HLG_PEAK_NITS / _WHITE_NITS)


def _sdr_light(signal: Reals) -> Reals:
    return np.asarray(signal**_DISPLAY_GAMMA)


def _rolled_off(light: Reals, peak: float) -> Reals:
    """Light up to the knee as it is, above it bent so that the peak becomes white (1.0).

    A hyperbola that leaves the knee with slope 1 (the curve known as Moebius).
    """
    if peak <= 1.0:
        return light
    knee = _KNEE
    a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
    b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
    bent = (b**2 + 2 * b * knee + knee**2) / (b - a) * (light + a) / (light + b)
    return np.where(light <= knee, light, bent)
