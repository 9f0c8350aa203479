"""One folder, many spellings: as we name it, as the kernel does, as sacct writes it."""

import os
from typing import Set

_QUOTES = str.maketrans("\"'", "``")


def spellings(folder: str) -> Set[str]:
    """Give the ways in which a job's WorkDir may name a folder; sacct has accents for quotes."""
    end = os.sep if folder.endswith(os.sep) else ""
    names = {folder, os.path.realpath(folder) + end}
    return names | {name.translate(_QUOTES) for name in names}
