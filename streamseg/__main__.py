"""The process `streamseg`: signals are heard before anything that takes time to load is loaded."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

from streamseg.signals import SIGNALS, Aborted


def main() -> NoReturn:
    """Run the command line and exit the process."""
    with SIGNALS.installed():
        try:
            from streamseg import cli

            code = cli.exit_code(sys.argv[1:])
            SIGNALS.leave_with(code)
        except Aborted as aborted:  # while the command line itself was being loaded
            code = 0 if aborted.first and sys.argv[1:2] == ["run"] else aborted.exit_code
            SIGNALS.leave_with(code)
    _let_go_of_output()
    if SIGNALS.aborted is not None:
        os._exit(code)  # threads are still at work, in which Python's own end may get caught
    sys.exit(code)


def _let_go_of_output() -> None:
    """Where the terminal or whoever read our output has gone, Python's last flush must not fail."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    main()
