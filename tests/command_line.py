"""Runs the command line in the tests' own process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from streamseg import cli

Call = Callable[..., tuple[int, str, str]]
"""The words after the program's name to exit code, stdout and stderr."""


def caller(capsys: pytest.CaptureFixture[str]) -> Call:
    """For a fixture of the test's own."""

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            cli.main(words)
        out, err = capsys.readouterr()
        assert isinstance(done.value.code, int)
        return done.value.code, out, err

    return call
