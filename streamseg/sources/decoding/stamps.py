"""Chooses between the two stamps of a decoded picture: time of showing and time of decoding."""

from __future__ import annotations


class Stamps:
    """Shown in order, pictures have growing stamps; what does not grow is not to be believed.

    Old containers (AVI) store pictures in the order of decoding and say nothing of the order of
    showing: there the decoding stamps, which come out in order, tell the time. The rule is
    FFmpeg's "best effort": the kind of stamp that failed less often so far.
    """

    def __init__(self) -> None:
        self._shown = _Kind()
        self._decoded = _Kind()

    def best(self, shown: int | None, decoded: int | None) -> int | None:
        """The stamp to use for the next picture, None when it has none."""
        self._shown.see(shown)
        self._decoded.see(decoded)
        if shown is None or decoded is None:
            return decoded if shown is None else shown
        return shown if self._shown.faults <= self._decoded.faults else decoded

    def jump(self) -> None:
        """The next picture comes from elsewhere in the file: that its stamp is less is no fault."""
        self._shown.jump()
        self._decoded.jump()


class _Kind:
    """One kind of stamp and how often it failed to grow."""

    def __init__(self) -> None:
        self.faults = 0
        self._newest: int | None = None

    def see(self, stamp: int | None) -> None:
        if stamp is None:
            return
        if self._newest is not None and stamp <= self._newest:
            self.faults += 1
        self._newest = stamp

    def jump(self) -> None:
        self._newest = None
