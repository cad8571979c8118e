"""OpenCV as an untyped module: its stubs widen every array to any type, and lack the optical flow.

The annotations at each use say what really comes back.
"""

from __future__ import annotations

import importlib
from typing import Any

cv2: Any = importlib.import_module("cv2")
