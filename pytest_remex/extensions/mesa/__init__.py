"""MESA for pytest-remex: inlists and their chains, known controls, outputs, restarts."""

from pytest_remex.extensions.mesa.inlists import InlistWarning, patch_inlist, read_inlist, remove
from pytest_remex.extensions.mesa.values import Raw

__all__ = ["InlistWarning", "Raw", "patch_inlist", "read_inlist", "remove"]
