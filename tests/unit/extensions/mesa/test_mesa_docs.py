"""The examples of docs/mesa.md do what the page says."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from mesa_samples import columns

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.experiment import Experiment, Run
from pytest_remex.extensions.mesa import RunFile, effective_config, find_restart
from pytest_remex.extensions.mesa.restarts import WorkDirectory
from pytest_remex.model import Sweep
from pytest_remex.sweep import expand, sweep_of

PAGE = Path(__file__).parents[4] / "docs" / "mesa.md"
INLIST = """\
&star_job
  read_extra_star_job_inlist(1) = .true.
  extra_star_job_inlist_name(1) = 'inlist_project'
/
&kap
  read_extra_kap_inlist(1) = .true.
  extra_kap_inlist_name(1) = 'inlist_project'
/
&controls
  read_extra_controls_inlist(1) = .true.
  extra_controls_inlist_name(1) = 'inlist_project'
/
"""
PROJECT = """\
&star_job
  pgstar_flag = .true.
/ ! end of star_job
&kap
  Zbase = 0.02
/
&controls
  initial_mass = 15 ! in Msun units
  initial_z = 0.02
/
"""


def block(name):
    """Return the text of a code block of the page."""
    pattern = rf"<!-- tested: {re.escape(name)} -->\n```\w+\n(.*?)```"
    return re.search(pattern, PAGE.read_text(), re.DOTALL)[1]


@pytest.fixture
def work(tmp_path):
    """Make a work directory as MESA's, but its own."""
    (tmp_path / "inlist").write_text(INLIST)
    (tmp_path / "inlist_project").write_text(PROJECT)
    return tmp_path


@pytest.fixture
def tams():
    """Load the page's sweep."""
    space = {"__name__": "sweeps"}
    exec(compile(block("sweeps.py"), str(PAGE), "exec"), space)  # noqa: S102 - the page's own code
    return space["tams"]


def first_experiment(function, path):
    plan = sweep_of(function)
    point = expand(plan)[0]
    return Experiment(plan, "id", point, {**plan.base_config, **point}, path)


def test_the_sweep_s_patch_makes_a_config_that_counts(work, tams):
    """The patched inlists, followed from `inlist`, have the values that the sweep asks for."""
    experiment = first_experiment(tams, work)
    next(tams(experiment))
    config = effective_config(work / "inlist")
    asked = {
        "initial_mass": 10,
        "mesh_delta_coeff": 1.0,
        "time_delta_coeff": 1.0,
        "initial_z": 0.014,
        "mixing_length_alpha": 1.8,
        "zbase": 0.014,
        "xa_central_lower_limit_species(1)": "h1",
        "pgstar_flag": False,
    }
    assert {name: config[name] for name in asked} == asked
    text = (work / "inlist_project").read_text()
    assert "initial_mass = 10 ! in Msun units" in text
    assert "/ ! end of star_job" in text


def test_the_sweep_s_check_judges_a_run(work, tams):
    """Outputs of the right layout pass and yield the measures; a run that stopped early fails."""
    names = "model_number star_age center_h1 he_core_mass log_L log_Teff"
    (work / "LOGS").mkdir()
    rows = ["1 1e5 0.7 0 3.9 4.3", "2 2e7 1e-4 2.5 4.2 4.2"]
    (work / "LOGS" / "history.data").write_text(columns(names, rows))
    measures = judged(tams, work, " termination code: xa_central_lower_limit\n")
    assert measures == {
        "age": 2e7,
        "core_mass": 2.5,
        "log_L": 4.2,
        "log_Teff": 4.2,
        "models": 2,
    }
    with pytest.raises(AssertionError, match="the star did not get there"):
        judged(tams, work, " termination code: max_age\n")


def judged(tams, work, log):
    from pytest_remex.extensions.mesa.outputs import read_output  # noqa: PLC0415 - needs pandas

    (work / "inlist_project").write_text(PROJECT)
    (work / "slurm.out").write_text(log)
    experiment = first_experiment(tams, work)
    body = tams(experiment)
    next(body)
    job = Job("1", JobState.COMPLETED)
    run = Run(
        work,
        None,
        job,
        work / "slurm.out",
        experiment,
        lambda path, options: read_output(path, **options),
    )
    with pytest.raises(StopIteration) as end:
        body.send(run)
    return end.value.value


STAR = """\
#!/bin/bash
# evolves a stage, from a photo if one is given, until its model is written
stage=$(cat inlist)
echo "$stage ${1:-anew}" >> "$LOG"
[ "$stage" = "$CUT" ] && exit 1
echo model > "$stage.mod"
"""


@pytest.fixture
def staged(tmp_path):
    """Make a work directory of two stages with the page's `rn`; returns a function that runs it."""
    scripts = {
        "rn": block("rn"),
        "re_all": '#!/bin/bash\nexec ./rn "$1"\n',
        "star": STAR,
        "re": '#!/bin/bash\n./star "$1"\ndate\n',
    }
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for stage in ("zams", "tams"):
        (tmp_path / f"inlist_{stage}_header").write_text(stage)
    (tmp_path / "photos").mkdir()

    def run(*words, cut=""):
        log = tmp_path / "log"
        log.unlink(missing_ok=True)
        code = subprocess.run(
            words, cwd=tmp_path, env={**os.environ, "LOG": str(log), "CUT": cut}, check=False
        ).returncode
        return code, log.read_text().splitlines()

    return run


def test_the_script_of_stages_does_what_is_left(staged, tmp_path):
    """The interrupted stage gets the photo, then later stages run; old photos are not used."""
    photo = tmp_path / "photos" / "x100"
    assert staged("./rn", cut="zams") == (1, ["zams anew"])
    photo.touch()
    assert staged("./re_all", "x100", cut="tams") == (1, ["zams x100", "tams anew"])
    os.utime(photo, (1, 1))
    assert staged("./re_all", "x100", cut="tams") == (1, ["tams anew"])
    os.utime(photo)
    os.utime(tmp_path / "zams.mod", (1, 1))
    assert staged("./re_all", "x100") == (0, ["tams x100"])
    for model in ("zams.mod", "tams.mod"):
        (tmp_path / model).unlink()
    assert staged("./rn") == (0, ["zams anew", "tams anew"])


def test_the_script_of_stages_is_continued_by_re_all(staged, tmp_path):
    """The extension finds its stages, and continues them with re_all."""
    work = WorkDirectory.read(Experiment(Sweep("stages"), "id", {}, {}, tmp_path))
    assert staged("./rn", cut="zams")[0] == 1
    how = find_restart([RunFile("photos/x100", 9, 1.0)], work.texts)
    assert how.command == ("./re_all", "x100")
    without = {name: text for name, text in work.texts.items() if name != "re_all"}
    assert (
        "would continue in stage 1 of 2"
        in find_restart([RunFile("photos/x100", 9, 1.0)], without).reason
    )
