"""The status table fits any terminal, cuts no word, and shows the most telling rows."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from pytest_remex.collect.shortening import cut_between_words, shorten_texts, shorten_values
from pytest_remex.collect.status_table import StatusRow, StatusTable, lines_around
from pytest_remex.common.jobs import Job, JobState
from pytest_remex.model import Commit, Remote
from pytest_remex.records.index import RecordedRun
from pytest_remex.records.launch import Launch
from pytest_remex.records.schema import RunRecord, Stage
from pytest_remex.records.store import LaunchRecord
from pytest_remex.sbatch.script import parse_header

HEADER = parse_header("#!/bin/sh\n")
LAUNCH = Launch(
    "tams_2026_01_31_12_00_00", "", "tams", "main", "2a423a0" + "0" * 33, {}, (), (),
    Remote("cluster", "clone", "/runs"),
)  # fmt: skip


def row(number, state=JobState.COMPLETED, launch=LAUNCH, **facts):
    """Return an experiment's row; `facts` are its point, and job or row fields."""
    point = facts.pop("point", {"mass": float(number)})
    run = RunRecord(
        "n", f"id {number}", point, {}, Commit("c", "t", "b"), f"d{number}", HEADER, Stage.RELEASED
    )
    mine = {key: facts.pop(key) for key in ("cause", "last_line", "progress") if key in facts}
    job = Job(str(100 + number), state, **{"elapsed": 60.0, "time_limit": 600.0, **facts})
    return StatusRow("n", RecordedRun(LaunchRecord(launch, {}, Path()), run), job, **mine)


def shown(rows, width=80, most=30, **options):
    """Return the lines of the table on a terminal of some width."""
    console = Console(width=width, color_system=None, legacy_windows=False, **options)
    with console.capture() as capture:
        console.print(StatusTable(rows, most))
    return [line.rstrip() for line in capture.get().splitlines()]


def test_columns():
    """The remote is shown first; the columns are the parameters that vary."""
    rows = [
        row(1, point={"mass": 1.0, "z": 0.02, "net": "a"}),
        row(2, JobState.RUNNING, last_line="step 7", point={"mass": 2.5, "z": 0.02, "net": "a"}),
    ]
    lines = shown(rows)
    assert lines[:2] == [
        "cluster:/runs",
        "launch tams_2026_01_31_12_00_00, Sat 31 Jan 12:00, base 2a423a0",
    ]
    assert lines[4].split() == [
        "mass",
        "job",
        "state",
        "elapsed",
        "of",
        "limit",
        "reason",
        "or",
        "output",
    ]
    assert lines[5].split() == [
        "2.5",
        "102",
        "RUNNING",
        "0:01:00",
        "█░░░░░",
        "0:10:00",
        "step",
        "7",
    ]


def test_several_sweeps():
    """If there are several sweeps, a column names them."""
    other = LAUNCH._replace(id="zams_2026_01_31_12_30_00", name="zams")
    lines = shown([row(1), row(2, launch=other)])
    assert lines[1].startswith("launch zams_2026_01_31_12_30_00 and 1 older one, ")
    assert lines[3].split()[:2] == ["sweep", "mass"]


def test_failures_by_cause():
    """Failures of one cause are shown once, without the numbers that differ."""
    causes = ["exit 3: ERROR: feed too large"] * 2 + [
        "exit 1: no root in 7",
        "exit 1: no root in 8",
    ]
    lines = shown([row(n, JobState.FAILED, cause=cause) for n, cause in enumerate(causes)])
    assert lines[-2:] == [
        "2 failed: exit 3: ERROR: feed too large",
        "2 failed: exit 1: no root in …",
    ]


def test_what_was_removed_did_not_fail():
    """A run that its user removed is counted as purged, not as failed."""
    lines = shown([row(1, JobState.PURGED, cause="removed"), row(2, JobState.FAILED, cause="no")])
    assert lines[-2:] == ["1 purged: removed", "1 failed: no"]


def test_exit_codes_are_causes():
    """Failures with different exit codes have different causes, even with equal output."""
    causes = ["exit 1: no root in 7", "exit 3: no root in 8", "exit 1", "exit 3"]
    lines = shown([row(n, JobState.FAILED, cause=cause) for n, cause in enumerate(causes)])
    assert lines[-4:] == [f"1 failed: {cause}" for cause in causes]


@pytest.mark.parametrize(
    ("name", "value"),
    [("initial_mass", "{}.25"), ("initial_model_file", "models/zams_{}M.mod")],
)
def test_bar_of_the_time_limit_stays(name, value):
    """With three long parameters at 80 columns, the bar, the whole state and a reason are shown."""
    rows = [
        row(
            n,
            JobState.OUT_OF_MEMORY,
            point={
                name: value.format(n),
                "mixing_length_alpha": n / 7,
                "net": f"pp_cno_{n}_extras",
            },
            last_line="ERROR: feed too large",
        )
        for n in range(3)
    ]
    shown_lines = [line for line in shown(rows) if {"OUT_OF_MEMORY", "█░░░░░"} <= {*line.split()}]
    assert len(shown_lines) == 3
    assert all("ERROR: feed" in line for line in shown_lines)
    assert len({line.split("  10")[0] for line in shown_lines}) == 3


def test_each_state_is_shown():
    """Some rows of each state are shown, of each way to fail as well."""
    states = [JobState.FAILED] * 50 + [JobState.TIMEOUT] * 3 + [JobState.COMPLETED] * 50
    lines = shown([row(number, state) for number, state in enumerate(states)], most=20)
    states = [line.split()[2] for line in lines[6:26]]
    assert states == ["FAILED"] * 12 + ["TIMEOUT"] * 3 + ["COMPLETED"] * 5


def test_most_telling_rows():
    """Some of each group of states are shown, failures first; -v shows all."""
    states = [JobState.COMPLETED] * 100 + [JobState.FAILED] * 50 + [JobState.RUNNING] * 50
    rows = [row(number, state) for number, state in enumerate(states)]
    lines = shown(rows, most=30)
    states = [line.split()[2] for line in lines[6:36]]
    assert states == ["FAILED"] * 20 + ["RUNNING"] * 5 + ["COMPLETED"] * 5
    assert "and 170 more: -v shows them all" in lines
    assert len(shown(rows, most=None)) > 200


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_table_fits_a_low_terminal(width):
    """A live table, with the rows that fit, is no higher than the terminal."""
    states = [*JobState] * 20
    rows = [
        row(n, state, cause=f"exit {n}: {'long ' * 30}", point={"mixing_length_alpha": n})
        for n, state in enumerate(states)
    ]
    around = lines_around(rows, width)
    assert len(shown(rows, width, most=5)) <= around + 5


def test_ascii_terminal(tmp_path):
    """A terminal that knows no other characters gets none."""
    with (tmp_path / "terminal").open("w", encoding="ascii") as terminal:
        text = "\n".join(shown([row(1), row(2)], file=terminal))
    assert "█" not in text
    assert "#" in text


VALUES = st.one_of(st.floats(allow_nan=False), st.integers(), st.text(max_size=60), st.none())
NAMES = st.text("abc_é星", min_size=1, max_size=30)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(JobState), st.dictionaries(NAMES, VALUES, max_size=6), st.text(max_size=200)
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=50)
@given(ROWS, st.integers(60, 160))
def test_any_terminal(given_rows, width):
    """Whatever experiments and output there are, no line is wider than the terminal."""
    rows = [
        row(number, state, point=point, last_line=said)
        for number, (state, point, said) in enumerate(given_rows)
    ]
    assert all(cell_len(line) <= width for line in shown(rows, width))


@given(st.text("ab \t", max_size=80), st.integers(16, 40))
def test_cut_between_words(text, width):
    """A line is cut between words, unless a single word is too long."""
    cut = cut_between_words(text, width)
    assert cell_len(cut) <= width
    words = text.split()
    kept = cut.removesuffix("…").split()
    assert kept == words[: len(kept)] or len(kept) == 1


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.1 + 0.2, 0.4], ["0.3", "0.4"]),
        ([1.00001, 1.00002], ["1.00001", "1.00002"]),
        ([10, 1e6], ["10", "1e+06"]),
        ([10.5, 11.25], ["10.5", "11.25"]),
        ([1 / 7, 2 / 7], ["0.143", "0.286"]),
        (["a\n\x1b[31mb", [1, {"k": None}]], ["a b", '[1, {"k": null}]']),
    ],
)
def test_short_values(values, texts):
    """Numbers have as few digits as tell them apart; text is one line that only shows itself."""
    assert list(shorten_values(values).values()) == texts


TEXTS = st.lists(st.text("abc_/é星", max_size=40), min_size=1, max_size=8)


@given(TEXTS, st.integers(8, 24))
def test_shortened_texts_stay_apart(texts, width):
    """Texts that were different are so when they are short, and equal ones are equal."""
    short = shorten_texts(texts, width)
    assert len(set(short)) == len(set(texts))
    assert len(set(zip(texts, short, strict=True))) == len(set(texts))


@pytest.mark.parametrize(
    ("texts", "short"),
    [
        (["models/zams_13M.mod", "models/zams_15M.mod"], ["…13M…", "…15M…"]),
        (["exponential", "none"], ["expo…ial", "none"]),
        (["1234567890123", "1234567890124"], ["1234567890123", "1234567890124"]),
    ],
)
def test_what_texts_have_in_common_goes_first(texts, short):
    """The start and the end that all have are left out, then middles; numbers stay whole."""
    assert list(shorten_texts(texts, 8)) == short


def test_nothing_to_show():
    """A table of no experiments is empty."""
    assert [line for line in shown([]) if line.strip()] == []
