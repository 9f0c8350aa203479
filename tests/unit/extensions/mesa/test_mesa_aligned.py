"""Tables whose rows are equally long are read another way than others, with the same result."""

from __future__ import annotations

import tracemalloc
import warnings

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_remex.extensions.mesa import TableWarning, read_history
from pytest_remex.extensions.mesa.tables import read_aligned

NAMES = ("model_number", "star_age", "mix_type_1", "log_L")
WORDS = {
    "mix_type_1": st.integers(-9, 10**6).map(str),
    "log_L": st.sampled_from(["1.25-105", "-1.0D+99", "*******", "NaN", "Infinity", "0.5", "x"])
    | st.floats(allow_nan=False).map("{:.16E}".format),
    "star_age": st.floats(allow_nan=False).map("{:.16E}".format),
}
DAMAGE = st.sampled_from(
    [b"\0" * 40, b"\n", b"   7", b"\n\n", b" 1.5 ", b"\t", b"\r", b"x", b"\xc3"]
)
SLOW = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def line(words, width=25):
    """Return a row as MESA writes it: words that end at the same places, each with a blank."""
    return "".join(f"{word:>{width}} " for word in words) + "\n"


HEADER = "".join(
    [
        line([1]),
        line(["version_number"]),
        line(["'r24.08.1'"]),
        "\n",
        line([1, 2, 3, 4]),
        line(NAMES),
    ]
)


@st.composite
def rows(draw):
    """Draw the rows of a history, as text."""
    count = draw(st.integers(1, 6))
    words = [[str(n + 1), *(draw(WORDS[name]) for name in NAMES[1:])] for n in range(count)]
    return "".join(map(line, words)).encode()


@st.composite
def damaged(draw):
    """Draw rows, some damaged by a killed job: cut anywhere, with later output appended."""
    data = draw(rows())
    begin = draw(st.integers(0, len(data)))
    end = draw(st.integers(begin, min(len(data), begin + 150)))
    return data[:begin] + draw(DAMAGE | st.just(b"")) + data[end:]


def read(path, data, **options):
    """Write and read a history; return the table, and what was warned of."""
    path.write_bytes(HEADER.encode() + data)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", TableWarning)
        table = read_history(path, **options)
    return table, [str(one.message) for one in said]


def uneven(data):
    """Return the same rows, with a longer first row."""
    return data.replace(b"\n", b"   \n", 1)


@given(rows() | damaged())
@SLOW
def test_the_result_is_that_of_the_other_way(tmp_path, data):
    """Values, types and warnings are the same, whatever is between the rows."""
    path = tmp_path / "history.data"
    table, said = read(path, data)
    other, said_then = read(path, uneven(data))
    pd.testing.assert_frame_equal(table, other, check_exact=True)
    assert said == said_then


@given(rows())
@SLOW
def test_some_columns_are_the_same_as_of_all(tmp_path, data):
    """Columns are taken from the same rows, in the order asked for."""
    path = tmp_path / "history.data"
    table, _ = read(path, data)
    some, _ = read(path, data, columns=["log_L", "model_number"])
    pd.testing.assert_frame_equal(some, table[["log_L", "model_number"]], check_exact=True)


def test_a_cut_row_and_one_behind_it_are_no_rows(tmp_path):
    """Two halves that are together as long as a row are not taken for one, of any columns."""
    path = tmp_path / "history.data"
    whole = [line([n, "1.0", n, "2.0"]).encode() for n in range(1, 9)]
    halves = whole[3][:60] + b"\n" + whole[4][: len(whole[4]) - 62] + b"\n"
    assert len(halves) == len(whole[0])
    for columns in (None, ["star_age"]):
        table, said = read(path, b"".join([*whole[:3], halves, *whole[5:]]), columns=columns)
        assert len(table) == 6
        assert "2 damaged rows are left out" in said[0]


def test_memory_is_little_more_than_the_numbers(tmp_path):
    """The text is never in memory as a whole, and the table is there once."""
    path = tmp_path / "history.data"
    path.write_text(HEADER + "".join(line([n, "1.0", n, "2.0"]) for n in range(1, 200_001)))
    start = path.read_bytes().index(line([1, "1.0", 1, "2.0"]).encode())
    read_aligned(path, start, NAMES, NAMES)
    tracemalloc.start()
    table = read_aligned(path, start, NAMES, NAMES)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(table) == 200_000
    assert peak < 200_000 * 8 * len(NAMES) + 4_000_000


def test_a_carriage_return_ends_no_row(tmp_path):
    """It is a blank, in a row's middle, before its end, and before blanks at its end."""
    whole = line(["1", "1.0", "7", "0.5"]).encode()
    for place in (10, len(whole) - 2):
        data = whole[:place] + b"\r" + whole[place + 1 :]
        for rows_of_file in (data, uneven(data), data + whole, uneven(data) + whole):
            table, said = read(tmp_path / "history.data", rows_of_file)
            assert set(table.itertuples(index=False, name=None)) == {(1, 1.0, 7, 0.5)}
            assert said == []
