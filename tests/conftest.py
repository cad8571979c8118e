"""Where processes share the tests (`pytest -n 2`), each keeps to its share of processors."""

from __future__ import annotations

import os
import signal
import tempfile

from hypothesis import settings

# Weights that this machine has decide nothing: the default config is the same on every machine.
_EMPTY = tempfile.TemporaryDirectory(prefix="streamseg-tests-")
os.environ["STREAMSEG_CACHE"] = os.path.join(_EMPTY.name, "streamseg")
os.environ["HF_HUB_CACHE"] = os.path.join(_EMPTY.name, "hub")

PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if PROCESSES > 1:  # before torch is imported; processes that tests start inherit it
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // PROCESSES)))

# A test run in the background, or under nohup, inherits signals that are ignored, and so would the
# programs that tests start and send them to.
for name in ("SIGHUP", "SIGINT", "SIGTERM"):
    number = getattr(signal, name, None)
    if number is not None and signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)

# The same examples on every run, and no limit on the time of one: a busy machine is no fault.
settings.register_profile("streamseg", derandomize=True, deadline=None)
settings.load_profile("streamseg")
