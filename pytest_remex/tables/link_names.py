"""The names of links to outputs, and how any text becomes a file name."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from string import Formatter
from typing import TYPE_CHECKING

from pytest_remex.errors import SweepError
from pytest_remex.names import LONGEST

if TYPE_CHECKING:
    from pytest_remex.model import Value

_KEPT_END = 80
"""Characters at the end of a name that is shortened: the output's own name is there."""


def short_outputs(outputs: Sequence[str]) -> dict[str, str]:
    """Name a run's outputs without their folders, or with them where two names are the same."""
    bare = {output: output.rpartition("/")[2] for output in outputs}
    shared = Counter(bare.values())
    return {
        output: output.replace("/", "_") if shared[name] > 1 else name
        for output, name in bare.items()
    }


def by_parameters(row: Mapping[str, Value], names: Sequence[str], output: str) -> str:
    """Name a link by parameters: `initial_mass=10_initial_y=0.27_history.data`."""
    return "_".join([*(f"{name}={_text(row[name])}" for name in names), output])


def by_template(template: str, row: Mapping[str, Value], output: str) -> str:
    """Fill a sweep's link_name: `{initial_mass:.1f}_{output}`, with any column of the results.

    A field is looked up, never evaluated. Raises `SweepError` for a field that is no column, and
    for a format that its value does not take.
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
            f"link_name={template!r}: there is no {error} among output, {', '.join(row)}"
        ) from None
    except ValueError as error:
        raise SweepError(f"link_name={template!r}: {error}: correct the format") from None
    return "".join(pieces)


def safe(name: str) -> str:
    """Make a file name of any text: no folders, nothing invisible, nothing hidden, not too long."""
    shown = name.replace("/", "_")
    if not shown.isprintable():
        shown = "".join(each if each.isprintable() else "_" for each in shown)
    if shown.startswith((".", "-", "~")) or not shown:
        shown = "_" + shown
    return shown if len(shown.encode()) <= LONGEST else _shortened(shown, name)


def marked(name: str, target: str) -> str:
    """Tell a safe name from the same one of another target, by a hash before its suffix."""
    path = PurePosixPath(name)
    longer = f"{path.stem}~{_digest(target)}{path.suffix}"
    return longer if len(longer.encode()) <= LONGEST else _shortened(name, target)


def same_file(name: str) -> str:
    """Give what two names share where a file system takes them for one."""
    return unicodedata.normalize("NFC", name).casefold()


def _shortened(name: str, whole: str) -> str:
    middle, end = f"~{_digest(whole)}~", name[-_KEPT_END:]
    end = end.encode()[-(LONGEST // 2) :].decode(errors="ignore")
    space = LONGEST - len(middle) - len(end.encode())
    return name.encode()[:space].decode(errors="ignore") + middle + end


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def _text(value: Value) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)
