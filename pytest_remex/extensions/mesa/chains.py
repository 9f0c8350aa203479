"""Follow the inlists that MESA reads from a first one, and tell which setting counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_remex.errors import NamelistError
from pytest_remex.extensions.mesa.arrays import Assignment, assignments, last_values
from pytest_remex.extensions.mesa.inlists import load
from pytest_remex.extensions.mesa.namelist import line_at, split_name
from pytest_remex.extensions.mesa.targets import first_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_remex.extensions.mesa.inlists import Inlist
    from pytest_remex.extensions.mesa.values import Literal
    from pytest_remex.model import Config, Value

_DEEPEST = 10
_READ = re.compile(r"read_extra_\w+_inlist(?:\((\d)\)|(\d))?")
_FILE = re.compile(r"extra_\w+_inlist(?:_name(?:\((\d)\))?|(\d)_name)")
