"""The folder `links` of a sweep: its outputs under names that tell the experiments apart."""
# ruff: noqa: PTH100, PTH114, PTH115, PTH118, PTH120 - pathlib takes several times as long

from __future__ import annotations

import functools
import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pytest_remex.io import writing
from pytest_remex.tables.link_names import (
    by_parameters,
    by_template,
    marked,
    safe,
    same_file,
    short_outputs,
)
from pytest_remex.tables.merge import LAUNCHES

if TYPE_CHECKING:
    from pytest_remex.model import Value
    from pytest_remex.tables.table import Table

    Namer: TypeAlias = Callable[[Mapping[str, Value], str], str | None]

LINKS = "links"


def rebuild_links(
    folder: Path,
    table: Table,
    *,
    template: str | None = None,
    namer: Namer | None = None,
    layout: str = "links",
) -> Path:
    """Make the links of a sweep's results anew and give their folder, `links` in `folder`.

    `table` is what lies in `folder`, a sweep's or one of its launches'. Linked are the outputs of
    its rows that are plain files inside `remex_output`. A link is named by `namer`, given the row
    and the output's path in the run directory; where that is None, or gives None, by `template`,
    the sweep's link_name; where that is None, by the parameters that differ between rows. The
    layout `flat` names it `<run directory>_<output>` instead. Names are made safe, and told apart
    by a hash where two are the same.

    The new folder takes the old one's place at once; what else lay in the old one goes. Raises
    `SweepError` for a template that cannot be filled, and `RecordError` where the folder cannot be
    written.
    """
    name = _flat if layout == "flat" else _namer(table, template, namer)
    links, wanted = folder / LINKS, dict(_told_apart(list(_targets(folder, table, name))))
    if _present(links) != wanted:
        with writing(links):
            _swap(links, wanted)
    return links


def varying(table: Table) -> list[str]:
    """Name the parameters that differ between rows."""
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
        return by_parameters(row, parameters, short)

    return name


def _flat(row: Mapping[str, Value], _: str, short: str) -> str:
    return f"{row['run_directory']}_{short}"


def _targets(folder: Path, table: Table, name: Callable[..., str]) -> Iterator[tuple[str, str]]:
    """Give the safe name and the target of each output that may be linked to."""
    real, here = _resolver(), os.path.abspath(folder)
    above = folder.parents[2] if folder.parent.name == LAUNCHES else folder.parent
    root = real(os.path.abspath(above)) + os.sep
    for row in table.rows:
        place, outputs = row["path"], row["outputs"]
        if not isinstance(place, str) or not isinstance(outputs, list):
            continue
        for output, short in short_outputs([str(each) for each in outputs]).items():
            path = os.path.normpath(os.path.join(here, place, output))
            if (real(os.path.dirname(path)) + os.sep).startswith(root) and _is_plain(path):
                target = os.path.normpath(os.path.join("..", place, output))
                yield safe(str(name(row, output, short))), target


def _is_plain(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def _resolver() -> Callable[[str], str]:
    """Give what resolves an absolute folder's links, and looks at each folder above once."""

    @functools.cache
    def real(folder: str) -> str:
        above, name = os.path.split(folder)
        path = os.path.join(real(above), name) if name else folder
        return os.path.realpath(path) if os.path.islink(path) else path

    return real


def _told_apart(links: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    files = [same_file(name) for name, _ in links]
    shared = Counter(files)
    for (name, target), file in zip(links, files, strict=True):
        yield (marked(name, target) if shared[file] > 1 else name), target


def _present(links: Path) -> dict[str, str] | None:
    """Give the links that lie in a folder; None where something else does, or it is no folder."""
    if links.is_symlink() or not links.is_dir():
        return None
    try:
        with os.scandir(links) as entries:
            return {each.name: os.readlink(each.path) for each in entries}
    except OSError:
        return None


def _swap(links: Path, wanted: Mapping[str, str]) -> None:
    """Build the folder beside the old one, which it replaces by renames; sweep up after a crash."""
    staged, old = links.with_name(f".{LINKS}.new"), links.with_name(f".{LINKS}.old")
    for leftover in (staged, old):
        _remove(leftover)
    staged.mkdir(parents=True)
    for title, target in wanted.items():
        (staged / title).symlink_to(target)
    if os.path.lexists(links):
        links.rename(old)
    staged.rename(links)
    _remove(old)


def _remove(folder: Path) -> None:
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)
