"""The corpus tool is no part of the package: its tests find it in the repository's tools."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "tools"))
