"""`make corpus DIR=...`."""

from __future__ import annotations

import pytest
from mesa_corpus import __main__ as corpus
from mesa_corpus.checks import compare, read_sample
from mesa_corpus.gfortran import Answer
from mesa_hazards import HAZARDS

needs_gfortran = pytest.mark.skipif(not corpus.gfortran(), reason="gfortran is not installed")


@pytest.fixture
def folder(tmp_path):
    """Make a corpus of the hazards."""
    (tmp_path / "more").mkdir()
    for number, hazard in enumerate(HAZARDS):
        (tmp_path / "more" / f"inlist{number}").write_bytes(hazard.before)
    return tmp_path


@needs_gfortran
def test_a_folder_of_inlists_holds_what_is_promised(folder, capsys):
    """Every file parses, gfortran agrees, and every setting can be changed separately."""
    assert corpus.main([str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"{len(HAZARDS)} files read" in printed
    assert "disagreements" not in printed
    assert "f90nml alone reads otherwise" in printed


@needs_gfortran
def test_a_name_without_a_value_is_declared(tmp_path, capsys):
    """It is declared for gfortran, wherever it is, so that reading does not fail."""
    text = "&e\n a = ! none\n b(3) =\n b(1) = 'x'\n c(2:4) =\n d = 1 ! one\n g = 3*\n/\n"
    (tmp_path / "inlist").write_text(text)
    assert corpus.main([str(tmp_path)]) == 0
    assert "2 values read alike by gfortran" in capsys.readouterr().out


def test_a_file_that_cannot_be_read_is_told(folder, capsys):
    """The exit code says that something does not hold."""
    (folder / "inlist_bad").write_text("&controls\n mass = 1\n")
    assert corpus.main([str(folder)]) == 1
    assert "cannot be read: " in capsys.readouterr().out


def test_an_empty_folder_proves_nothing(tmp_path):
    """No file read is a failure."""
    assert corpus.main([str(tmp_path)]) == 1


def test_without_gfortran_the_second_opinion_counts(folder, monkeypatch, capsys):
    """F90nml's own faults then fail the run, and are listed."""
    monkeypatch.setenv("PATH", "")
    assert corpus.main([str(folder)]) == 1
    assert "f90nml reads otherwise" in capsys.readouterr().out


def test_differences_are_told(folder):
    """Values that gfortran reads differently, does not read, or cannot declare, disagree."""
    sample = read_sample(folder / "more" / "inlist0")
    found = compare(sample, "engine", Answer(5010, "no such name", {"mass": 9.0}))
    assert [one.what for one in found] == [
        "core_mass is 0.4 here, None there",
        "mass is 8 here, 9.0 there",
        "gfortran: no such name",
    ]
    assert "no declarations fit" in str(compare(sample, "engine", None)[0])
