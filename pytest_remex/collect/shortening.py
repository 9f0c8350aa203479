"""Text and numbers made short enough for a column, and still distinct."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os.path import commonprefix

from rich.cells import cell_len, set_cell_size

from pytest_remex.display import clean
from pytest_remex.model import Value

EXACT = 6
"""Digits up to which numbers are shown in full."""
WIDEST = 24
"""Characters of a value, at most, if that tells values apart."""


def shorten_values(values: Sequence[Value]) -> dict[str, str]:
    """Return values as text by their `repr`: numbers in full if they are short.

    Others have as few digits as tell them apart.
    """
    distinct = {repr(value): value for value in values}
    for digits in range(3, EXACT + 1):
        texts = {key: _shown(value, digits) for key, value in distinct.items()}
        if all(float(texts[key]) == value for key, value in _floats(distinct)):
            return texts
    for digits in range(3, 18):
        texts = {key: _shown(value, digits) for key, value in distinct.items()}
        if len(set(texts.values())) == len(texts):
            return texts
    return {key: _shown(value, 17) for key, value in distinct.items()}


def _floats(distinct: Mapping[str, Value]) -> list[tuple[str, float]]:
    return [(key, value) for key, value in distinct.items() if isinstance(value, float)]


def _shown(value: Value, digits: int) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, str):
        return cut_middle(clean(" ".join(value.split())), WIDEST + 4 * (digits - 3))
    return cut_middle(clean(json.dumps(value, ensure_ascii=False)), WIDEST + 4 * (digits - 3))


def shorten_texts(texts: Sequence[str], width: int) -> Sequence[str]:
    """Return texts of at most `width` characters that are as different as before, if there are any.

    What all have at their start and end goes first, then their middles. Numbers stay whole.
    """
    if max(map(cell_len, texts), default=0) <= width or all(map(_is_number, filter(None, texts))):
        return texts
    distinct = list(dict.fromkeys(texts))
    start = _common_start(distinct)
    end = _common_start([text[start:][::-1] for text in distinct])
    cores = {
        text: _core(text, _to_word(text, start), _to_word(text[::-1], end)) for text in distinct
    }
    for room in (width, *range(width + 1, WIDEST)):
        short = {text: cut_middle(core, room) for text, core in cores.items()}
        if len(set(short.values())) == len(distinct):
            return [short[text] for text in texts]
    return texts


def _common_start(texts: Sequence[str]) -> int:
    """Return how many characters different texts have in common at their start."""
    return len(commonprefix(texts)) if len(texts) > 1 else 0  # noqa: RUF071 - characters are meant


def _core(text: str, start: int, end: int) -> str:
    """Return a text without its start and end, with an ellipsis for each if that is shorter."""
    before, after = "…" if start > 1 else text[:start], "…" if end > 1 else text[len(text) - end :]
    return f"{before}{text[start : len(text) - end]}{after}"


def _to_word(text: str, place: int) -> int:
    """Return the position of the start of a word, at or before a place in a text."""
    while place and text[place - 1 : place].isalnum():
        place -= 1
    return place


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def cut_middle(text: str, width: int = WIDEST) -> str:
    """Return a text of at most `width` characters, its middle left out."""
    if cell_len(text) <= width:
        return text
    half = (width - 1) // 2
    return f"{text[: width - 1 - half]}…{text[len(text) - half :]}"


def cut_between_words(text: str, width: int) -> str:
    """Return the beginning of a text on one line, cut between words if possible."""
    line = " ".join(text.split())
    if cell_len(line) <= width:
        return line
    cut = set_cell_size(line, width - 2)
    whole = cut if line[len(cut) : len(cut) + 1].isspace() else cut.rpartition(" ")[0]
    return f"{(whole or cut).rstrip()} …"
