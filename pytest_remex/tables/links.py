"""The folder `links` of a sweep: its outputs under names that identify the experiments."""
# ruff: noqa: PTH100, PTH114, PTH115, PTH118, PTH120, PTH211 - pathlib takes several times as long

from __future__ import annotations

import functools
import json
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING, TypeAlias

from pytest_remex.common.files import is_regular
from pytest_remex.common.paths import LONGEST_NAME
from pytest_remex.errors import SweepError
from pytest_remex.io import writing
from pytest_remex.names import text_digest

if TYPE_CHECKING:
    from pytest_remex.model import Value
    from pytest_remex.tables.table import Table

    Namer: TypeAlias = Callable[[Mapping[str, Value], str], str | None]

LINKS = "links"

_KEPT_END = 80
"""How many characters at the end of a shortened name are kept: they contain the output's name."""


def rebuild_links(  # noqa: PLR0913 - where, of what, and how they are named
    folder: Path,
    table: Table,
    *,
    root: Path,
    template: str | None = None,
    namer: Namer | None = None,
    layout: str = "links",
) -> Path:
    """Rebuild the links of a sweep's results and return their folder, `links` in `folder`.

    Links are made to the outputs of the table's rows, if these are regular files in the output
    folder. Names are made safe, and equal names get a hash. The new folder replaces the old one
    atomically; anything else in the old one is removed.

    Args:
        folder: The folder of a sweep, or of one of its launches.
        table: The results in it.
        root: The output folder.
        template: The sweep's link_name; None for names made of the parameters that vary.
        namer: Returns a link's name, given a row and the output's path in the run directory; None
            to use `template`.
        layout: `links`, or `flat` for names `<run directory>_<output>`.

    Raises:
        SweepError: The template cannot be filled.
        RecordError: The folder cannot be written.

    """
    name = _flat if layout == "flat" else _namer(table, template, namer)
    targets = list(_targets(folder, root, table, name))
    links, wanted = folder / LINKS, dict(_distinct(targets))
    if _present(links) != wanted:
        with writing(links):
            _swap(links, wanted)
    return links


def varying(table: Table) -> list[str]:
    """Return the parameters whose values differ between rows."""
    return [
        name
        for name in table.names("point")
        if any(row[name] != table.rows[0][name] for row in table.rows)
    ]


def _namer(table: Table, template: str | None, namer: Namer | None) -> Callable[..., str]:
    parameters = varying(table)

    def name(row: Mapping[str, Value], output: str, short: str) -> str:
        chosen = namer(row, output) if namer else None
        if chosen is not None:
            return chosen
        if template is not None:
            return by_template(template, row, short)
        return _by_parameters(row, parameters, short)

    return name


def _flat(row: Mapping[str, Value], _: str, short: str) -> str:
    return f"{row['run_directory']}_{short}"


def _targets(
    folder: Path, within: Path, table: Table, name: Callable[..., str]
) -> Iterator[tuple[str, str]]:
    """Yield the safe name and the target of each output that may be linked to."""
    real, here = _resolver(), os.path.abspath(folder)
    root = real(os.path.abspath(within)) + os.sep
    for row in table.rows:
        place, outputs = row["path"], row["outputs"]
        if not isinstance(place, str) or not isinstance(outputs, list):
            continue
        for output, short in _short_outputs([str(each) for each in outputs]).items():
            path = os.path.normpath(os.path.join(here, place, output))
            if (real(os.path.dirname(path)) + os.sep).startswith(root) and is_regular(path):
                target = os.path.normpath(os.path.join("..", place, output))
                yield safe(str(name(row, output, short))), target


def _resolver() -> Callable[[str], str]:
    """Return a function that resolves an absolute folder's links; it reads each folder once."""

    @functools.cache
    def real(folder: str) -> str:
        above, name = os.path.split(folder)
        path = os.path.join(real(above), name) if name else folder
        return os.path.realpath(path) if os.path.islink(path) else path

    return real


def _distinct(links: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    files = [_file_key(name) for name, _ in links]
    shared = Counter(files)
    for (name, target), file in zip(links, files, strict=True):
        yield (with_hash(name, target) if shared[file] > 1 else name), target


def _present(links: Path) -> dict[str, str] | None:
    """Return the links in a folder; None if it contains anything else, or is not a folder."""
    if links.is_symlink() or not links.is_dir():
        return None
    try:
        with os.scandir(links) as entries:
            return {each.name: os.readlink(each.path) for each in entries}
    except OSError:
        return None


def _swap(links: Path, wanted: Mapping[str, str]) -> None:
    """Build a new folder and replace the old one by renames; clean up after an earlier crash."""
    staged, old = links.with_name(f".{LINKS}.new"), links.with_name(f".{LINKS}.old")
    for leftover in (staged, old):
        _remove(leftover)
    staged.mkdir(parents=True)
    for title, target in wanted.items():
        os.symlink(target, f"{staged}/{title}")
    if os.path.lexists(links):
        links.rename(old)
    staged.rename(links)
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


# Names -------------------------------------------------------------------------------------------


def _short_outputs(outputs: Sequence[str]) -> dict[str, str]:
    """Return each output's name without its folder, or with it if two names are the same."""
    bare = {output: output.rpartition("/")[2] for output in outputs}
    shared = Counter(bare.values())
    return {
        output: output.replace("/", "_") if shared[name] > 1 else name
        for output, name in bare.items()
    }


def _by_parameters(row: Mapping[str, Value], names: Sequence[str], output: str) -> str:
    """Make a link's name of parameters: `initial_mass=10_initial_y=0.27_history.data`."""
    return "_".join([*(f"{name}={_text(row[name])}" for name in names), output])


def by_template(template: str, row: Mapping[str, Value], output: str) -> str:
    """Fill a sweep's link_name: `{initial_mass:.1f}_{output}`, with any column of the results.

    A field is looked up, never evaluated.

    Raises:
        SweepError: A field is not a column, or its value cannot be formatted so.

    """
    values = {**row, "output": output}
    pieces = []
    try:
        for literal, field, form, conversion in Formatter().parse(template):
            pieces.append(literal)
            if field is not None:
                value = values[field]
                plain = value if form and isinstance(value, int | float) else _text(value)
                pieces.append(format(repr(value) if conversion else plain, form or ""))
    except KeyError as error:
        raise SweepError(
            f"link_name={template!r}: unknown field {error}; known are output, {', '.join(row)}"
        ) from None
    except ValueError as error:
        raise SweepError(f"link_name={template!r}: {error}: correct the format") from None
    return "".join(pieces)


def safe(name: str) -> str:
    """Make a safe file name from any text: no `/`, only printable, not hidden, not too long."""
    shown = name.replace("/", "_")
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else "_" for each in shown)
    if shown.startswith((".", "-", "~")) or not shown:
        shown = "_" + shown
    return shown if len(shown.encode()) <= LONGEST_NAME else _shortened(shown, name)


def with_hash(name: str, target: str) -> str:
    """Make an equal name unique: add a hash of its target before the suffix."""
    path = PurePosixPath(name)
    longer = f"{path.stem}~{text_digest(target)[:8]}{path.suffix}"
    return longer if len(longer.encode()) <= LONGEST_NAME else _shortened(name, target)


def _file_key(name: str) -> str:
    """Return a key that is equal for two names that a file system may treat as the same."""
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(name: str, whole: str) -> str:
    middle, end = f"~{text_digest(whole)[:8]}~", name[-_KEPT_END:]
    end = end.encode()[-(LONGEST_NAME // 2) :].decode(errors="ignore")
    space = LONGEST_NAME - len(middle) - len(end.encode())
    return name.encode()[:space].decode(errors="ignore") + middle + end


def _text(value: Value) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)
