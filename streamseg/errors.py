"""Every exception that streamseg raises on purpose, one tree.

StreamSegError                  exit code 1
├── UsageError                  exit code 2: what was asked cannot be asked
│   ├── ConfigError             an unknown key, a value out of range
│   ├── QueryError              an empty or over-long query
│   └── SourceSpecError         a source that cannot be: no such file, a bad pipeline
├── SourceError                 a source that could be, but failed: no frames, truncated, no camera
├── CheckpointError             a weights file that is missing, misshapen or not trusted
├── OutputError                 a folder or file that cannot be written
├── MissingDependencyError      an optional package that is not installed; names the extra
├── ReasoningError              the reasoner refused, crashed or ran out of time
└── EngineError                 wrong tensors, or an engine that cannot be built or run here

A message is one line: what was expected, what came, what to do.
"""

from __future__ import annotations


class StreamSegError(Exception):
    """Base of all; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(StreamSegError):
    """What was asked cannot be asked."""

    exit_code = 2


class ConfigError(UsageError):
    """An unknown key, or a value out of range."""


class QueryError(UsageError):
    """An empty or over-long query."""


class SourceSpecError(UsageError):
    """A source that cannot be: no such file, a pipeline that does not parse."""


class SourceError(StreamSegError):
    """A source that could be, but failed: no frames, truncated, no camera."""


class CheckpointError(StreamSegError):
    """A weights file that is missing, of another shape, or not to be trusted."""


class OutputError(StreamSegError):
    """A folder or file that cannot be written."""


class MissingDependencyError(StreamSegError):
    """An optional package that is not installed.

    `extra` is what `pip install "streamseg[extra]"` would mend.
    """

    def __init__(self, package: str, extra: str, hint: str = "") -> None:
        self.package = package
        self.extra = extra
        detail = f" {hint}" if hint else ""
        super().__init__(
            f'{package} is not installed: run pip install "streamseg[{extra}]".{detail}'
        )


class ReasoningError(StreamSegError):
    """The reasoner refused, crashed or ran out of time."""


class EngineError(StreamSegError):
    """Wrong tensors, or an engine that cannot be built or run here."""
