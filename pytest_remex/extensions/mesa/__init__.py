"""MESA for pytest-remex: inlists and their chains, known controls, outputs, restarts.

`patch_inlist` and `read_inlist` change and read an inlist, `effective_config` all inlists that MESA
reads from it; `read_history`, `read_profile` and `read_profiles_index` return outputs as
DataFrames; `load_controls` knows the settings of an installed MESA; `find_restart` finds the photo
from which a run continues; `stop_allowed` checks why it ended.

Example:
    >>> @sweep({"initial_mass": [10, 15, 20]}, fetch=["LOGS/history.data"])
    ... def tams(experiment):
    ...     patch_inlist("inlist_project", experiment.config)
    ...     run = yield
    ...     assert stop_allowed(run, ["xa_central_lower_limit"])
    ...     return {"age": read_history(run.path / "LOGS/history.data").star_age.iloc[-1]}

"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_remex.config import remove
    from pytest_remex.extensions.mesa.chains import EffectiveConfig, Origin, effective_config
    from pytest_remex.extensions.mesa.inlists import (
        InlistWarning,
        patch_inlist,
        read_inlist,
        read_namelists,
    )
    from pytest_remex.extensions.mesa.job_log import stop_allowed
    from pytest_remex.extensions.mesa.known_controls import KnownControls, load_controls
    from pytest_remex.extensions.mesa.outputs import read_history, read_profile, read_profiles_index
    from pytest_remex.extensions.mesa.restarts import Restart, find_restart, photo_folders
    from pytest_remex.extensions.mesa.tables import TableWarning
    from pytest_remex.hookspecs import RunFile
    from pytest_remex.namelists.values import Raw

__all__ = [
    "EffectiveConfig",
    "InlistWarning",
    "KnownControls",
    "Origin",
    "Raw",
    "Restart",
    "RunFile",
    "TableWarning",
    "effective_config",
    "find_restart",
    "load_controls",
    "patch_inlist",
    "photo_folders",
    "read_history",
    "read_inlist",
    "read_namelists",
    "read_profile",
    "read_profiles_index",
    "remove",
    "stop_allowed",
]

# pytest imports this package at every start, so its modules are imported when they are needed
_HOMES = {
    f"{__name__}.chains": ("EffectiveConfig", "Origin", "effective_config"),
    f"{__name__}.known_controls": ("KnownControls", "load_controls"),
    f"{__name__}.inlists": ("InlistWarning", "patch_inlist", "read_inlist", "read_namelists"),
    f"{__name__}.job_log": ("stop_allowed",),
    f"{__name__}.outputs": ("read_history", "read_profile", "read_profiles_index"),
    f"{__name__}.restarts": ("Restart", "find_restart", "photo_folders"),
    f"{__name__}.tables": ("TableWarning",),
    "pytest_remex.config": ("remove",),
    "pytest_remex.hookspecs": ("RunFile",),
    "pytest_remex.namelists.values": ("Raw",),
}


if not TYPE_CHECKING:  # with this, a type checker would accept any name of the package

    def __getattr__(name: str) -> object:
        """Load a public name from its module."""
        for module, names in _HOMES.items():
            if name in names:
                return getattr(import_module(module), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
