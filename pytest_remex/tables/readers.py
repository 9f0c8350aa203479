"""Built-in readers of common file types, used as a last resort; hooks for use without pytest."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

from pytest_remex import hookspecs
from pytest_remex.errors import ConfigError, RemexError
from pytest_remex.hooks import naming_hook

if TYPE_CHECKING:
    import pandas as pd

    from pytest_remex.model import Config

_EXACT_BY_DEFAULT = (3, 1)
"""The first pandas whose floats are exact without being asked for it."""
hookimpl = pluggy.HookimplMarker("pytest")


class BuiltInReaders:
    """Hooks that read files that no extension reads.

    Args:
        hook: Returns all hooks, including these, to read a config file with.

    """

    def __init__(self, hook: Callable[[], pluggy.HookRelay]) -> None:
        self._hook = hook

    @hookimpl(trylast=True)
    def pytest_remex_read(self, path: Path, options: Mapping[str, object]) -> object | None:
        """Read a file by its suffix; for a CSV the options are those of pandas."""
        return read(path, options)

    @hookimpl(trylast=True)
    def pytest_remex_config(
        self, path: Path, config_file: str | Sequence[str] | None
    ) -> Config | None:
        """Read back config files that a reader returns as a mapping, or whose format we know.

        If several of them have a name, the first one counts.
        """
        names = [config_file] if isinstance(config_file, str) else config_file or ()
        here = [path / name for name in names if (path / name).is_file()]
        configs = [found for each in here if (found := self._config(each)) is not None]
        # A ChainMap looks up dotted names in each file; a merged dict could not.
        return ChainMap(*configs) if len(configs) > 1 else next(iter(configs), None)

    def _config(self, path: Path) -> dict[str, Any] | None:
        from pytest_remex.config import NAMELIST, Settings, load, read_config  # noqa: PLC0415 - all formats

        known = load(path).format
        # Our namelist reader finds names such as mode(2).l, which a plain mapping does not.
        content, hook = None, self._hook().pytest_remex_read
        if known is not NAMELIST:
            with naming_hook(hook):
                content = hook(path=path, options={})
        if isinstance(content, Mapping):
            return Settings(content)
        return read_config(path) if known else None


def read(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object | None:
    """Read a file by its suffix, in upper or lower case; None for an unknown suffix.

    A CSV or Parquet file becomes a DataFrame; JSON, TOML and YAML what they hold; .npy and .npz
    arrays; netCDF an xarray Dataset, HDF5 an h5py File; text and logs, gzipped or not, a string;
    pictures and documents stay a path.

    Raises:
        RemexError: The file does not have the format of its suffix, its reader does not know an
            option, or a library is not installed; the message then names the extra.

    """
    reader = _READERS.get(path.suffix.lower())
    if path.suffix.lower() == ".gz":
        reader = _PACKED.get(_READERS.get(Path(path.stem).suffix.lower()))
    if reader is None:
        return None
    if options and reader not in _WITH_OPTIONS:
        raise RemexError(
            f"{path.name} is read without options: remove {', '.join(options)} from run.read, or "
            f"implement the hook pytest_remex_read in conftest.py"
        )
    try:
        return _WITH_OPTIONS[reader](path, options) if options else reader(path)
    except (ValueError, OSError, EOFError, RecursionError, zlib.error) as error:
        raise RemexError(
            f"{path} cannot be read as {path.suffix}: {error}; check what the job wrote"
        ) from error


def read_csv(path: Path, **options: Any) -> pd.DataFrame:  # noqa: ANN401 - those of pandas
    """Read any CSV with a header line as a DataFrame; floats are exact."""
    import pandas as pd  # noqa: PLC0415 - takes half a second to load

    if "columns" in options:  # the name of this option in other readers
        options["usecols"] = options.pop("columns")
    if tuple(map(int, pd.__version__.split(".")[:2])) < _EXACT_BY_DEFAULT:
        options.setdefault("float_precision", "round_trip")
    found: pd.DataFrame = pd.read_csv(path, **options)
    return found


def _table(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object:
    try:
        return read_csv(path, **options)
    except TypeError as error:
        raise RemexError(f"{path.name}: {error}; see the arguments of pandas.read_csv") from error


def _parquet(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object:
    import pandas as pd  # noqa: PLC0415 - as above

    try:
        return pd.read_parquet(path, **options)  # type: ignore[call-overload]
    except ImportError:
        raise RemexError(f"{path} is Parquet: pip install 'pytest-remex[parquet]'") from None
    except TypeError as error:
        message = f"{path.name}: {error}; see the arguments of pandas.read_parquet"
        raise RemexError(message) from error


def _json(path: Path) -> object:
    return json.loads(path.read_text("utf-8-sig"))


def _toml(path: Path) -> object:
    import tomllib  # noqa: PLC0415 - slow to load, and few outputs are TOML

    return tomllib.loads(path.read_text("utf-8-sig"))


def _yaml(path: Path) -> object:
    try:
        from pytest_remex.config.yaml_file import read_yaml  # noqa: PLC0415 - as above

        return read_yaml(path.read_text("utf-8-sig"))
    except ConfigError as error:
        raise RemexError(f"{path}: {error}") from None


def _text(path: Path) -> object:
    return path.read_text("utf-8", "replace")


def _path(path: Path) -> object:
    return path


def _numpy(path: Path) -> object:
    """Read a .npy as an array, or a .npz as arrays by name; pickled objects are refused."""
    from zipfile import BadZipFile  # noqa: PLC0415 - as numpy

    import numpy as np  # noqa: PLC0415 - takes a tenth of a second to load

    with path.open("rb") as file:  # NumPy leaves a damaged one open
        try:
            found = np.load(file, allow_pickle=False)
            return dict(found) if isinstance(found, np.lib.npyio.NpzFile) else found
        except BadZipFile as error:
            raise ValueError(error) from error


def _netcdf(path: Path) -> object:
    """Read a whole netCDF file as an xarray Dataset."""
    try:
        import h5netcdf  # noqa: F401, PLC0415 - an extra, xarray's engine
        import xarray as xr  # noqa: PLC0415 - an extra
    except ImportError:
        raise RemexError(f"{path} is netCDF: pip install 'pytest-remex[netcdf]'") from None
    return xr.load_dataset(path)


def _hdf5(path: Path) -> object:
    """Open an HDF5 file for reading; its data are read on access."""
    try:
        import h5py  # noqa: PLC0415 - an extra
    except ImportError:
        raise RemexError(f"{path} is HDF5: pip install 'pytest-remex[hdf5]'") from None
    return h5py.File(path, "r")


def _packed_text(path: Path) -> object:
    """Return the text of a gzipped file."""
    with gzip.open(path, "rt", encoding="utf-8", errors="replace") as file:
        return file.read()


_READERS: Mapping[str, Callable[[Path], object]] = {
    ".csv": _table,
    ".parquet": _parquet,
    **dict.fromkeys((".npy", ".npz"), _numpy),
    **dict.fromkeys((".nc", ".nc4"), _netcdf),
    **dict.fromkeys((".h5", ".hdf5"), _hdf5),
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
_PACKED: Mapping[object, Callable[[Path], object]] = {_table: _table, _text: _packed_text}
"""The reader of a gzipped file, by the reader of its content."""


class _Hooks(pluggy.PluginManager):
    """Hooks without pytest; as in pytest, a function is a hook by its name."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:  # noqa: ANN401 - pluggy's
        if not name.startswith("pytest_remex_"):
            return None
        return super().parse_hookimpl_opts(plugin, name) or {}


def hooks_of(plugins: Iterable[object]) -> pluggy.HookRelay:
    """Return the hooks of modules and objects, with the built-in readers as the last."""
    hooks = _Hooks("pytest")
    hooks.add_hookspecs(hookspecs)
    for plugin in plugins:
        hooks.register(plugin)
    hooks.register(BuiltInReaders(lambda: hooks.hook))
    return hooks.hook
