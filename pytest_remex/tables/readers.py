"""The readers of plain kinds of file, the last resort; and the hooks for scripts without pytest."""

from __future__ import annotations

import json
import tomllib
from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import pluggy

from pytest_remex import hookspecs
from pytest_remex.errors import RemexError

if TYPE_CHECKING:
    from pytest_remex.model import Config, Value

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
        """Read back config files of kinds that some reader returns as a mapping.

        Where several have a name, the first of them counts.
        """
        names = [config_file] if isinstance(config_file, str) else config_file or ()
        here = [path / name for name in names if (path / name).is_file()]
        contents = [self._hook().pytest_remex_read(path=each, options={}) for each in here]
        configs = [flattened(each) for each in contents if isinstance(each, Mapping)]
        return dict(ChainMap(*configs)) if configs else None


def flattened(config: Mapping[str, object]) -> dict[str, Value]:
    """Return the settings of all groups together; the first of a name wins."""
    flat: dict[str, Value] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            for inner, one in value.items():
                flat.setdefault(str(inner), one)
        else:
            flat.setdefault(str(name), cast("Value", value))
    return flat


def read(path: Path, options: Mapping[str, object] = MappingProxyType({})) -> object | None:
    """Return what a file holds, by its suffix, in any case; None for a kind that is not known.

    A CSV becomes a DataFrame; JSON, TOML and YAML what they hold; text and logs a string; pictures
    and documents stay a path.

    Raises:
        RemexError: The file is not of its kind, an option is not known to its reader, or it is
            YAML and PyYAML is not installed.

    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        return None
    if options and reader is not _table:
        raise RemexError(
            f"{path.name} is read without options: leave out {', '.join(options)} of run.read, or "
            f"implement the hook pytest_remex_read in conftest.py"
        )
    try:
        return _table(path, options) if options else reader(path)
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


def _json(path: Path) -> object:
    return json.loads(path.read_text("utf-8-sig"))


def _toml(path: Path) -> object:
    return tomllib.loads(path.read_text("utf-8-sig"))


def _yaml(path: Path) -> object:
    try:
        import yaml  # noqa: PLC0415 - an extra
    except ImportError:
        raise RemexError(
            f"{path} is YAML: pip install 'pytest-remex[yaml]' to have it read"
        ) from None
    try:
        return yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ValueError(error) from error


def _text(path: Path) -> object:
    return path.read_text("utf-8", "replace")


def _path(path: Path) -> object:
    return path


_READERS: Mapping[str, Callable[[Path], object]] = {
    ".csv": _table,
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
