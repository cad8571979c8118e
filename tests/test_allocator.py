"""Free memory goes back to the system, on systems whose allocator can."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

KEPT = """
import threading
from streamseg.allocator import give_back_free_memory

def resident_mib():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))

def work():
    blocks = [bytearray(100_000) for _ in range(400)]
    pins.append(blocks[::40])

pins = []
threads = [threading.Thread(target=work) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
before = resident_mib()
give_back_free_memory()
print(before - resident_mib())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="no glibc here")
def test_what_threads_freed_goes_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", KEPT], capture_output=True, text=True, check=True, timeout=60
    )
    assert float(done.stdout) > 1.0
