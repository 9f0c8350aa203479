"""The Hertzsprung-Russell diagram of a sweep."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from mesa_samples import columns

go = pytest.importorskip("plotly.graph_objects")
from pytest_remex.extensions.mesa.diagram import hr_diagram  # noqa: E402 - needs plotly


@pytest.fixture
def results(tmp_path):
    """Return the results of three runs with tracks, and of one without outputs."""
    for name in "abc":
        (tmp_path / name / "LOGS").mkdir(parents=True)
        rows = [f"{n} {4.5 - n / 10000} {n / 1000}" for n in range(2500)]
        text = columns("model_number log_Teff log_L", rows)
        (tmp_path / name / "LOGS" / "history.data").write_text(text)
    table = pd.DataFrame(
        {
            "id": ["1", "2", "3", "4"],
            "mass": [1.0, 2.0, 5.0, 9.0],
            "wind": ["<b>", "fast", "<b>", "fast"],
            "z": [0.02] * 4,
            "path": ["a", "b", "c", None],
        }
    )
    table.attrs["parameters"] = ["mass", "wind", "z"]
    return table


def test_every_run_with_a_track_is_drawn(results, tmp_path):
    """One line a run, the temperature falls to the right, and the page stays small."""
    figure = hr_diagram(results, tmp_path)
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert [line.name for line in lines] == [
        "mass=1.0, wind=&lt;b&gt;",
        "mass=2.0, wind=fast",
        "mass=5.0, wind=&lt;b&gt;",
    ]
    assert figure.layout.xaxis.autorange == "reversed"
    assert all(len(line.x) == 1000 for line in lines)
    assert (lines[0].y[0], lines[0].y[-1]) == (0.0, 2.499)


def test_a_button_a_parameter_chooses_the_colours(results, tmp_path):
    """Numbers lie on a scale with its bar, other values have a colour each; z does not vary."""
    figure = hr_diagram(results, tmp_path)
    mass, wind = figure.layout.updatemenus[0].buttons
    assert (mass.label, wind.label) == ("mass", "wind")
    assert len(set(mass.args[0]["line.color"][:3])) == 3
    assert len(set(wind.args[0]["line.color"][:3])) == 2
    assert list(mass.args[0]["visible"]) == [True, True, True, True, False]
    assert list(wind.args[0]["visible"]) == [True, True, True, False, False]
    bar = figure.data[3]
    assert (bar.marker.cmin, bar.marker.cmax, bar.visible) == (1.0, 5.0, True)
    json.loads(figure.to_json())


def test_one_run_needs_no_colours(results, tmp_path):
    """Nothing varies: the line is named after the experiment."""
    figure = hr_diagram(results.iloc[:1], tmp_path)
    assert [trace.name for trace in figure.data] == ["1"]


def test_a_damaged_row_does_not_hide_a_track(results, tmp_path):
    """The curve is drawn without it, and without a warning."""
    text = columns("model_number log_Teff log_L", ["1 4 1", "2 4", "3 4 2", "4 4 3"])
    (tmp_path / "a" / "LOGS" / "history.data").write_text(text)
    assert hr_diagram(results, tmp_path).data[0].y == (1, 2, 3)


def test_runs_without_a_track_are_left_out(results, tmp_path):
    """No outputs, another layout, or other columns: no line; without any line no diagram."""
    (tmp_path / "a" / "LOGS" / "history.data").write_text("broken")
    (tmp_path / "b" / "LOGS" / "history.data").write_text(columns("model_number x", ["1 2"]))
    assert len(hr_diagram(results, tmp_path).data) == 1
    assert hr_diagram(results.iloc[[0, 1, 3]], tmp_path) is None
