"""MESA's hooks, as pytest-remex calls them."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from mesa_samples import DEFAULTS, columns

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.errors import RemexError
from pytest_remex.experiment import Experiment, Run
from pytest_remex.extensions import mesa
from pytest_remex.extensions.mesa import InlistWarning
from pytest_remex.extensions.mesa.inspection import inspect
from pytest_remex.extensions.mesa.outputs import read_output
from pytest_remex.extensions.mesa.plugin import MesaHooks
from pytest_remex.hookspecs import Continuation, RunFile
from pytest_remex.model import Sweep

ORIGINALS = {"inlist": b"", "inlist_project": b""}
"""As if the patch had written all of them."""


@pytest.fixture
def hooks(pytestconfig):
    """Return the hooks of this very session: the extension is registered by its entry point."""
    return pytestconfig.hook


@pytest.fixture
def work(tmp_path):
    """Make a MESA-like work directory."""
    (tmp_path / "inlist").write_text(
        "&controls\n  read_extra_controls_inlist(1) = .true.\n"
        "  extra_controls_inlist_name(1) = 'inlist_project'\n/\n"
    )
    (tmp_path / "inlist_project").write_text("&controls\n  initial_mass = 12\n  zbase = 0.02\n/\n")
    return tmp_path


def experiment(path, **config):
    return Experiment(Sweep("tams"), "id", config, config, path)


def run(path, log, state=JobState.TIMEOUT):
    job, output = Job("1", state), path / "slurm.out"
    output.write_text(log)
    return Run(path, None, job, output, experiment(path), lambda path, _: path)


def test_outputs_are_read_by_their_kind(hooks, tmp_path):
    """A history, a profile, a profiles.index and an inlist are recognized."""
    for name in ("history.data", "binary_history.data", "profile12.data"):
        (tmp_path / name).write_text(columns("model_number x", ["1 2", "2 3"]))
        assert hooks.pytest_remex_read(path=tmp_path / name, options={}).x.tolist() == [2, 3]
    some = hooks.pytest_remex_read(path=tmp_path / name, options={"columns": ["x"]})
    assert list(some) == ["x"]
    with pytest.raises(RemexError, match=r"columns only: leave out column$"):
        hooks.pytest_remex_read(path=tmp_path / name, options={"column": ["x"]})
    (tmp_path / "profiles.index").write_text(" 1 models\n 5 1 1\n")
    assert (
        hooks.pytest_remex_read(path=tmp_path / "profiles.index", options={}).profile_number[0] == 1
    )
    (tmp_path / "inlist_x").write_text("&controls\n a = 1\n/\n")
    assert hooks.pytest_remex_read(path=tmp_path / "inlist_x", options={}) == {"controls": {"a": 1}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("results.csv", "a,b\n1,2\n"),
        ("other.data", "1 2 3\n4 5 6\n"),
        ("empty.data", ""),
        ("params.yaml", "base: &base\n  a: 1\n"),
        ("inlist_notes", "no groups here\n"),
        ("slurm.out", "1\na\n2\n\n1\nb\n3\n"),
        ("table.gz", "\x1f\x8b broken"),
    ],
)
def test_files_of_others_are_left_to_others(tmp_path, pytestconfig, name, text):
    """The answer is None for a file that is not MESA's, whatever its name."""
    (tmp_path / name).write_text(text)
    assert MesaHooks(pytestconfig).pytest_remex_read(tmp_path / name, {}) is None
    assert MesaHooks(pytestconfig).pytest_remex_read(tmp_path / "missing.data", {}) is None


def test_the_config_that_ran_is_the_effective_one(hooks, work):
    """All inlists of the chain count, also if the sweep names one of them."""
    for config_file in (None, "inlist_project"):
        config = hooks.pytest_remex_config(path=work, config_file=config_file)
        assert config["initial_mass"] == 12
        assert type(config).__name__ == "EffectiveConfig"


def test_a_config_that_is_no_inlist_is_left_to_others(pytestconfig, tmp_path):
    """Files that are not inlists by name, and are not read by one, are left to other readers."""
    (tmp_path / "params.json").write_text("{}")
    (tmp_path / "run.nml").write_text("&controls\n initial_mass = 3\n/\n")
    hooks = MesaHooks(pytestconfig)
    assert hooks.pytest_remex_config(tmp_path, "params.json") is None
    assert hooks.pytest_remex_config(tmp_path, None) is None
    assert hooks.pytest_remex_config(tmp_path, "run.nml") is None


def test_other_files_beside_inlists(hooks, work):
    """A file that no inlist reads is read too, in its own format."""
    (work / "gyre.in").write_text("&mode\n l = 0\n/\n&mode\n l = 1\n/\n")
    config = hooks.pytest_remex_config(path=work, config_file=["inlist", "gyre.in"])
    assert [config["initial_mass"], config["mode(2).l"]] == [12, 1]
    assert hooks.pytest_remex_config(path=work, config_file="gyre.in") is None


def test_half_a_chain_is_no_config(pytestconfig, work):
    """A file that was not fetched may override others, so the config is unknown."""
    (work / "inlist_project").unlink()
    with pytest.warns(InlistWarning, match="not be read back: .* or fetch it with the outputs"):
        assert MesaHooks(pytestconfig).pytest_remex_config(work, None) is None


def test_doubts_are_told_before_anything_is_sent(pytestconfig, monkeypatch, work):
    """Overridden settings and unknown names are each reported in a sentence with the line."""
    with (work / "inlist").open("a") as file:
        file.write("&kap\n zbas = 1\n/\n")
    for name, text in DEFAULTS.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_text(text + "read_extra_controls_inlist(:) = F\n")
        with (work / name).open("a") as file:
            file.write("extra_controls_inlist_name(:) = ''\n")
    monkeypatch.setenv("MESA_DIR", str(work))
    said = MesaHooks(pytestconfig).pytest_remex_inspect(
        experiment(work, initial_mass=12), ORIGINALS
    )
    assert said == [
        "inlist_project line 3: zbase belongs to &kap, not &controls",
        "inlist line 6: &kap of this MESA has no zbas: did you mean zbase?",
    ]


def test_an_override_is_told_without_mesa(pytestconfig, monkeypatch, work):
    """The chain needs no installed MESA."""
    monkeypatch.delenv("MESA_DIR", raising=False)
    text = (work / "inlist").read_text()
    (work / "inlist").write_text(text.replace("&controls", "&controls\n initial_mass = 30"))
    originals = {"inlist": text.encode()}
    said = MesaHooks(pytestconfig).pytest_remex_inspect(
        experiment(work, initial_mass=30), originals
    )
    assert said == [
        "controls.initial_mass = 30 in inlist line 2 is overridden by 12 in inlist_project line 2"
    ]


def test_a_wrong_mesa_folder_and_a_broken_inlist_are_told_too(pytestconfig, monkeypatch, work):
    """Inspecting never stops a plan: what is wrong is one of the warnings."""
    monkeypatch.setenv("MESA_DIR", "/nowhere")
    hooks = MesaHooks(pytestconfig)
    (said,) = hooks.pytest_remex_inspect(experiment(work, initial_mass=12), ORIGINALS)
    assert said.startswith("/nowhere has no */defaults/*.defaults")
    (work / "inlist_project").write_text("&controls\n")
    assert "&controls has no end" in hooks.pytest_remex_inspect(experiment(work), ORIGINALS)[-1]


def test_a_checkout_without_inlist_has_nothing_to_tell(pytestconfig, tmp_path):
    """Most repositories are not MESA's."""
    assert MesaHooks(pytestconfig).pytest_remex_inspect(experiment(tmp_path), ORIGINALS) is None


def test_measures_of_a_mesa_run(hooks, tmp_path):
    """The columns that a run adds; none for other programs."""
    log = " save photos/x150 for model 150\n termination code: max_age\n"
    expected = {"termination_code": "max_age", "last_photo": "x150"}
    assert expected in hooks.pytest_remex_measures(run=run(tmp_path, log))
    assert hooks.pytest_remex_measures(run=run(tmp_path, "done")) == []


def test_measures_are_found_once(hooks, tmp_path, monkeypatch):
    """While a large log and the outputs are as they were, they come from pytest's cache."""
    steps = "a line of a step\n" * 70_000
    one = run(tmp_path, f"{steps} termination code: max_age\n")
    first = hooks.pytest_remex_measures(run=one)
    monkeypatch.setattr("pytest_remex.extensions.mesa.runs.read_log", None)
    assert hooks.pytest_remex_measures(run=one) == first
    one.output.write_text(f"{steps} termination code: x\n")
    with pytest.raises(TypeError):
        hooks.pytest_remex_measures(run=one)


def test_a_run_goes_on_from_its_last_photo(hooks, tmp_path):
    """The command takes the place of `./rn`; another program's run is left to others."""
    log = " save photos/x150 for model 150\n"
    one = run(tmp_path, log)
    how = hooks.pytest_remex_continue(run=one, files=None, memo=None)
    assert how.command == ("./re", "x150")
    other = run(tmp_path, "")
    assert hooks.pytest_remex_continue(run=other, files=None, memo=None) is None
    assert hooks.pytest_remex_continue_probe(experiment=experiment(tmp_path)) is None


def test_the_photos_of_a_work_directory_are_asked_for(hooks, work):
    """Its photo folder is listed on the cluster, and the newest complete photo is used."""
    (work / "run.sbatch").write_text("${REMEX_COMMAND:-./rn}\n")
    (work / "re").write_text("cp photos/$1 restart_photo && ./star\n")
    (work / "re").chmod(0o755)
    probe = hooks.pytest_remex_continue_probe(experiment=experiment(work))
    assert probe.patterns == ("photos/*", "*.mod")
    files = [RunFile("photos/x050", 900, 100.0), RunFile("photos/x100", 900, 200.0)]
    how = hooks.pytest_remex_continue(run=run(work, ""), files=files, memo=probe.memo)
    assert how == Continuation(("./re", "x100"), "from its newest complete photo")
    how = hooks.pytest_remex_continue(run=run(work, ""), files=[], memo=probe.memo)
    assert how == Continuation((), "there is no complete photo in photos")


def test_the_diagram_is_left_out_without_tracks(hooks, tmp_path):
    """A sweep without MESA's histories has no diagram."""
    results = pd.DataFrame({"path": [None, "gone"]})
    assert hooks.pytest_remex_figures(results=results, folder=tmp_path) == [[]]


def test_the_ini_key_names_mesa_s_folder(monkeypatch, tmp_path):
    """`remex_mesa_dir` wins over $MESA_DIR."""
    monkeypatch.setenv("MESA_DIR", "/other")
    hooks = MesaHooks(SimpleNamespace(getini=lambda key: {"remex_mesa_dir": str(tmp_path)}[key]))
    said = hooks.pytest_remex_inspect(experiment(tmp_path), ORIGINALS)
    assert said[0].startswith(str(tmp_path))


def test_every_public_name_is_listed_and_explained():
    """`dir` and `help` show all names; each docstring has its arguments and result."""
    assert set(mesa.__all__) <= set(dir(mesa))
    for name in mesa.__all__:
        assert getattr(mesa, name).__doc__, name
    functions = [name for name in mesa.__all__ if name[0].islower()]
    assert len(functions) >= 10
    for name in functions:
        text = getattr(mesa, name).__doc__
        assert "Args:" in text, name
        assert "Returns:" in text or name == "patch_inlist", name


def test_some_columns_of_any_table(tmp_path):
    """`run.read` passes the columns on; a table is known by its layout."""
    path = tmp_path / "history_M1.5.txt"
    path.write_text(columns("model_number x y", ["1 2 3", "2 3 4"]))
    assert read_output(path, columns=["y"]).to_dict("list") == {"y": [3, 4]}
    assert read_output(path).shape == (2, 3)


def test_nothing_heavy_is_loaded_at_the_start():
    """Pytest imports the plugin at every start: pandas and plotly wait for their hooks."""
    code = (
        "import sys, pytest_remex.extensions.mesa.plugin, pytest_remex.extensions.mesa as mesa;"
        "heavy = {'pandas', 'plotly', 'numpy', 'pytest_remex.extensions.mesa.inlists'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "mesa.patch_inlist; assert not {'pandas', 'plotly', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    code = (
        "import sys; from pytest_remex.extensions.mesa import read_history;"
        "heavy = {'pluggy', 'pytest', 'pytest_remex.extensions.mesa.inlists'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_patched_setting_is_looked_at(work):
    """With the base commit's files, settings that the config does not name are checked too."""
    base = (work / "inlist").read_bytes()
    (work / "inlist").write_bytes(base.replace(b"&controls", b"&controls\n  zbase = 0.01"))
    originals = {"inlist": base, "gone": b"", "notes.txt": b"&x"}
    assert inspect(experiment(work), None, originals) == [
        "controls.zbase = 0.01 in inlist line 2 is overridden by 0.02 in inlist_project line 3"
    ]
    assert inspect(experiment(work), None, {}) == []
