"""The corpus tool is not in the package: its tests import it from the repository's tools."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[4] / "tools"))
