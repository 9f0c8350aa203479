"""The Hertzsprung-Russell diagram of a sweep."""

from __future__ import annotations

import pandas as pd
import pytest
from mesa_samples import columns

from pytest_remex.extensions.mesa.outputs import DIAGRAM, hr_tracks


@pytest.fixture
def results(tmp_path):
    """Return the results of three runs with tracks, and of one without outputs."""
    for name in "abc":
        (tmp_path / "runs" / name / "LOGS").mkdir(parents=True)
        rows = [f"{n} {4.5 - n / 10000} {n / 1000}" for n in range(2500)]
        text = columns("model_number log_Teff log_L", rows)
        (tmp_path / "runs" / name / "LOGS" / "history.data").write_text(text)
    (tmp_path / "tams").mkdir()
    return pd.DataFrame({"id": list("1234"), "path": [*(f"../runs/{n}" for n in "abc"), None]})


def test_every_run_with_a_track_has_a_curve(results, tmp_path):
    """One curve a run, in full, by its run directory; the temperature falls to the right."""
    tracks = hr_tracks(results, tmp_path / "tams")
    assert [track.experiment for track in tracks] == ["a", "b", "c"]
    assert {(track.name, track.x_reversed) for track in tracks} == {(DIAGRAM, True)}
    assert all(len(track.x) == len(track.y) == 2500 for track in tracks)
    assert (tracks[0].y[0], tracks[0].y[-1]) == (0.0, 2.499)


def test_a_damaged_row_does_not_hide_a_track(results, tmp_path):
    """The curve is there without it, and without a warning."""
    text = columns("model_number log_Teff log_L", ["1 4 1", "2 4", "3 4 2", "4 4 3"])
    (tmp_path / "runs" / "a" / "LOGS" / "history.data").write_text(text)
    assert hr_tracks(results, tmp_path / "tams")[0].y == [1, 2, 3]


def test_runs_without_a_track_are_left_out(results, tmp_path):
    """No outputs, another layout, or other columns: no curve."""
    runs = tmp_path / "runs"
    (runs / "a" / "LOGS" / "history.data").write_text("broken")
    (runs / "b" / "LOGS" / "history.data").write_text(columns("model_number x", ["1 2"]))
    assert [track.experiment for track in hr_tracks(results, tmp_path / "tams")] == ["c"]
    assert hr_tracks(results.iloc[[0, 1, 3]], tmp_path / "tams") == []
