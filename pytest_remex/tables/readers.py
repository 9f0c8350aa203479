"""The readers of plain kinds of file, the last resort; and the hooks for scripts without pytest."""

from __future__ import annotations

import json
import tomllib
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

from pytest_remex import hookspecs
from pytest_remex.config import Settings, read_config
from pytest_remex.config.files import NAMELIST, load
from pytest_remex.config.yaml_file import read_yaml
from pytest_remex.errors import ConfigError, RemexError
from pytest_remex.tables.array_readers import (
    read_hdf5,
    read_netcdf,
    read_numpy,
    read_packed_text,
)

if TYPE_CHECKING:
    from pytest_remex.model import Config

hookimpl = pluggy.HookimplMarker("pytest")


class BuiltInReaders:
    """The hooks that read what no extension reads.

    Args:
        hook: Returns the hooks, theirs included, by which a config file is read.

    """

    def __init__(self, hook: Callable[[], pluggy.HookRelay]) -> None:
        self._hook = hook

    @hookimpl(trylast=True)
    def pytest_remex_read(self, path: Path, options: Mapping[str, object]) -> object | None:
        """Read a file by its suffix; the options go to pandas, which reads a CSV."""
        return read(path, options)

    @hookimpl(trylast=True)
    def pytest_remex_config(
        self, path: Path, config_file: str | Sequence[str] | None
    ) -> Config | None:
        """Read back config files that some reader returns as a mapping, or that are of our kinds.

        Where several have a name, the first of them counts.
        """
        names = [config_file] if isinstance(config_file, str) else config_file or ()
        here = [path / name for name in names if (path / name).is_file()]
        configs = [found for each in here if (found := self._config(each)) is not None]
        # A ChainMap asks each for a dotted name, as a dict of all would not.
        return ChainMap(*configs) if len(configs) > 1 else next(iter(configs), None)

    def _config(self, path: Path) -> dict[str, Any] | None:
        known = load(path).format
        # A namelist's own names, as mode(2).l, are more than a mapping of a reader's knows.
        content = (
            None if known is NAMELIST else self._hook().pytest_remex_read(path=path, options={})
        )
        if isinstance(content, Mapping):
            return Settings(content)
        return read_config(path) if known else None


def read(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object | None:
    """Return what a file holds, by its suffix, in any case; None for a kind that is not known.

    A CSV or Parquet file becomes a DataFrame; JSON, TOML and YAML what they hold; .npy and .npz
    arrays; netCDF an xarray Dataset, HDF5 an h5py File; text and logs, gzipped or not, a string;
    pictures and documents stay a path.

    Raises:
        RemexError: The file is not of its kind, an option is not known to its reader, or the
            library for it is not installed; the message names the extra.

    """
    reader = _READERS.get(path.suffix.lower())
    if path.suffix.lower() == ".gz":
        reader = _PACKED.get(_READERS.get(Path(path.stem).suffix.lower()))
    if reader is None:
        return None
    if options and reader not in _WITH_OPTIONS:
        raise RemexError(
            f"{path.name} is read without options: leave out {', '.join(options)} of run.read, or "
            f"implement the hook pytest_remex_read in conftest.py"
        )
    try:
        return _WITH_OPTIONS[reader](path, options) if options else reader(path)
    except (ValueError, OSError) as error:
        raise RemexError(
            f"{path} cannot be read as {path.suffix}: {error}; see what the job wrote"
        ) from error


def _table(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object:
    # pandas takes half a second to load.
    from pytest_remex.tables.frame import read_csv  # noqa: PLC0415 - see above

    try:
        return read_csv(path, **options)
    except TypeError as error:
        raise RemexError(f"{path.name}: {error}; see the arguments of pandas.read_csv") from error


def _parquet(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object:
    from pytest_remex.tables.frame import read_parquet  # noqa: PLC0415 - as above

    try:
        return read_parquet(path, **options)
    except TypeError as error:
        message = f"{path.name}: {error}; see the arguments of pandas.read_parquet"
        raise RemexError(message) from error


def _json(path: Path) -> object:
    return json.loads(path.read_text("utf-8-sig"))


def _toml(path: Path) -> object:
    return tomllib.loads(path.read_text("utf-8-sig"))


def _yaml(path: Path) -> object:
    try:
        return read_yaml(path.read_text("utf-8-sig"))
    except ConfigError as error:
        raise RemexError(f"{path}: {error}") from None


def _text(path: Path) -> object:
    return path.read_text("utf-8", "replace")


def _path(path: Path) -> object:
    return path


_READERS: Mapping[str, Callable[[Path], object]] = {
    ".csv": _table,
    ".parquet": _parquet,
    **dict.fromkeys((".npy", ".npz"), read_numpy),
    **dict.fromkeys((".nc", ".nc4"), read_netcdf),
    **dict.fromkeys((".h5", ".hdf5"), read_hdf5),
    ".json": _json,
    ".toml": _toml,
    **dict.fromkeys((".yaml", ".yml"), _yaml),
    **dict.fromkeys((".err", ".log", ".md", ".out", ".rst", ".txt"), _text),
    **dict.fromkeys(
        (".bmp", ".eps", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".ps", ".svg", ".tif", ".tiff"),
        _path,
    ),
    ".webp": _path,
}


_WITH_OPTIONS: Mapping[object, Callable[[Path, Mapping[str, object]], object]] = {
    _table: _table,
    _parquet: _parquet,
}
"""The readers that take options."""
_PACKED: Mapping[object, Callable[[Path], object]] = {_table: _table, _text: read_packed_text}
"""How a file is read that is gzipped, by the reader of what is in it."""


class _Hooks(pluggy.PluginManager):
    """Hooks without pytest; as there, a function is one by its name."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:  # noqa: ANN401 - pluggy's
        if not name.startswith("pytest_remex_"):
            return None
        return super().parse_hookimpl_opts(plugin, name) or {}


def hooks_of(plugins: Iterable[object]) -> pluggy.HookRelay:
    """Return the hooks of modules and objects, with the readers of plain files as the last."""
    hooks = _Hooks("pytest")
    hooks.add_hookspecs(hookspecs)
    for plugin in plugins:
        hooks.register(plugin)
    hooks.register(BuiltInReaders(lambda: hooks.hook))
    return hooks.hook
