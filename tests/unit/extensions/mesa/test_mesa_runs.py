"""Why a run ended, and the other columns that MESA adds to the results."""

from __future__ import annotations

import gzip
import os
import tracemalloc

import pytest
from mesa_samples import columns

from pytest_remex.common.jobs import Job, JobState
from pytest_remex.experiment import Experiment, Run
from pytest_remex.extensions.mesa import stop_allowed
from pytest_remex.extensions.mesa.job_log import log_files, scan_log, unfetched_log
from pytest_remex.extensions.mesa.runs import last_photo, measures, measures_keys, photos
from pytest_remex.model import Sweep

LOG = """\
 save photos/x050 for model      50
 save LOGS/profile3.data for model      60
 save photos/x100 for model     100
 termination code: max_age
 restarted
 save photos/x150 for model     150
 stop because star_age >= max_age
 termination code: xa_central_lower_limit
"""
UNREAD = "[ERROR]: Failed to read "
REASON = ' namelist from "inlist". Error message: '


def endings(log):
    """Return what the results say of a log's end."""
    return scan_log([log]).endings


def test_the_last_termination_code_is_a_column():
    """A job's output that was continued holds several; the last is why it ended."""
    assert endings(LOG) == {"termination_code": "xa_central_lower_limit"}
    gave_up = " terminated evolution: cannot find acceptable model\n"
    assert endings(gave_up) == {"terminated_evolution": "cannot find acceptable model"}
    assert endings(LOG + "restart from x150\n" + gave_up) == endings(gave_up)
    assert endings("12:  termination code: max_age\n") == {"termination_code": "max_age"}


@pytest.mark.parametrize(
    ("log", "crash"),
    [
        (
            "At line 92 of file x.f90\nFortran runtime error: End of file\n\nError termination.\n",
            "Fortran runtime error: End of file",
        ),
        (
            " Cannot match namelist object name initial_mas\n STOP namelist\n",
            "Cannot match namelist object name initial_mas",
        ),
        (" Terminate: stop_for_bad_nums\n", "Terminate: stop_for_bad_nums"),
        (f"{UNREAD}controls{REASON}Bad real\n", f"{UNREAD}controls{REASON}Bad real"),
        (f" {UNREAD}star_job\n STOP\n", f"{UNREAD}star_job"),
        (
            f"{UNREAD}kap{REASON}Cannot match namelist object name z",
            "Cannot match namelist object name z",
        ),
        (f"{UNREAD}pgstar{REASON}Bad real\n", ""),
        (
            "File: ../private/net.f90, Line:   33, Message: no net\nERROR STOP 1\n",
            "File: ../private/net.f90, Line: 33, Message: no net",
        ),
        (" STOP 1\n", "STOP 1"),
        ("0: ERROR STOP  bad   mesh\n", "ERROR STOP bad mesh"),
        ("Program received signal SIGSEGV: x\nSTOP\n", "Program received signal SIGSEGV: x"),
        ("Fortran runtime error: x\n" + LOG, ""),
        (LOG + "Fortran runtime error: x\n", "Fortran runtime error: x"),
        (LOG + " STOP\n", ""),
        ("Fortran runtime error: x\nrestart from x100\n", ""),
        ("restart from x100\nFortran runtime error: x\n", "Fortran runtime error: x"),
        ("./rn: line 3: 812 Segmentation fault  (core dumped) ./star\n", "Segmentation fault"),
        ("srun: error: n1: task 0: Killed\n", "Killed"),
        ("He was Killed by line 3: Aborted\n", ""),
        ("do not STOP here, please\nNONSTOP\n", ""),
    ],
)
def test_a_crash_s_reason_is_a_column(log, crash):
    """The last error counts, unless a run that was continued came to its end behind it."""
    assert endings(log).get("crash", "") == crash


def test_another_program_s_output_has_no_columns(tmp_path):
    """A run that is not MESA's gets no measures."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    (tmp_path / "slurm.out").write_text("all done\nmy termination code: 3\n")
    assert measures(log_files(tmp_path / "slurm.out", tmp_path), tmp_path) == {}


def test_photos_are_listed_the_newest_last(tmp_path):
    """MESA's names wrap round, so time orders them; old releases write no `x`."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for at, name in enumerate(["x950", "1000", "x050", "b_x100"]):
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    assert photos(tmp_path) == ["x950", "1000", "x050", "b_x100"]
    assert measures([], tmp_path) == {"last_photo": "x100", "photos": 4}


@pytest.mark.parametrize(
    ("log", "photo"),
    [
        (LOG, "x150"),
        (" save photos/b_x100, photos/1_x100, photos/2_x100 for model         100\n", "x100"),
        (" save my/photos/x150 for model 150\n", "x150"),
        (" save photos/1500 for model 1500\n", "1500"),
        ("2:  save photos/x150 for model 150\n", "x150"),
        ("restart from x100\n", "x100"),
        ("restart from photos/x100\n save LOGS/profile1.data for model 3\n", "x100"),
        ("nothing", None),
    ],
)
def test_the_last_photo_is_the_one_that_the_output_names(tmp_path, log, photo):
    """Photos need not be fetched; a binary's three files have one name, which `re` takes."""
    assert last_photo(scan_log([log]), photos(tmp_path)) == photo


@pytest.mark.parametrize("pack", [False, True])
def test_the_first_and_last_model_are_columns(tmp_path, pack):
    """They are read from the ends of the history, however long it is, with MESA's version."""
    (tmp_path / "LOGS").mkdir()
    rows = [f"{n} {'0' * 90}" for n in [*range(7, 9000), *range(4000, 8000)]]
    text = (columns("model_number x", rows) + "8000 0.").encode()
    path = tmp_path / "LOGS" / "history.data"
    path.write_bytes(gzip.compress(text) if pack else text)
    found = {"min_model": 7, "max_model": 7999, "mesa_version": "r1.2"}
    assert measures([], tmp_path) == found
    path.write_text(columns("model_number x", ["3 1"]))
    assert measures([], tmp_path) == {"min_model": 3, "max_model": 3, "mesa_version": "r1.2"}
    path.write_text(columns("model_number x", []))
    assert measures([], tmp_path) == {"mesa_version": "r1.2"}


def test_a_long_log_is_read_as_a_stream(tmp_path):
    """Memory does not grow with the output, not even if it is one endless line."""
    path = tmp_path / "slurm.out"
    with path.open("w") as file:
        for number in range(300_000):
            file.write(f"step {number} " + "0" * 90 + "\n")
        file.write("1" * 20_000_000 + "\n" + LOG)
    tracemalloc.start()
    found = measures(log_files(path, tmp_path), tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == {"termination_code": "xa_central_lower_limit", "last_photo": "x150"}
    assert peak < 12_000_000 < path.stat().st_size / 4


def test_redirected_output_is_read(tmp_path):
    """Many users redirect MESA's output to a file: it is read if it was fetched."""
    (tmp_path / "slurm.out").write_text("date\n")
    (tmp_path / "run.sbatch").write_text("./rn 2>&1 | tee -a logs.txt\n# ./rn > old.txt\n")
    (tmp_path / "rn").write_text("./star > out.txt 2> /dev/null\ncat < ../x > ../../outside\n")
    (tmp_path / "logs.txt").write_text(" save photos/x100 for model 100\n")
    (tmp_path / "old.txt").write_text(" save photos/x999 for model 999\n")
    (tmp_path / "out.txt").write_text(LOG)
    assert measures(log_files(tmp_path / "slurm.out", tmp_path), tmp_path) == {
        "termination_code": "xa_central_lower_limit",
        "last_photo": "x150",
    }


@pytest.mark.parametrize("name", ["log_${SLURM_JOB_ID}.txt", "log_$NAME${SLURM_JOB_ID}.txt"])
def test_output_whose_name_has_a_variable_is_read(tmp_path, name):
    """Of several jobs' files the newest counts; a bare variable, or a folder, names none."""
    script = f'./rn > "{name}" 2>&1\n./a | tee $LOG\n./b >$HOME/all.txt\n'
    (tmp_path / "run.sbatch").write_text(script)
    (tmp_path / "LOGS").mkdir()
    (tmp_path / "LOGS" / "all.txt").write_text(" STOP 1\n")
    for number, code in ((10, "max_age"), (9, "max_model_number")):
        path = tmp_path / f"log_{number}.txt"
        path.write_text(f"termination code: {code}\n")
        os.utime(path, (number, number))
    assert measures(log_files(None, tmp_path), tmp_path) == {"termination_code": "max_age"}


def test_output_that_a_sweep_s_own_script_redirects_is_read(tmp_path):
    """A sweep may name another script than run.sbatch."""
    (tmp_path / "job.sh").write_text("./rn > out.txt\n")
    (tmp_path / "out.txt").write_text("termination code: max_age\n")
    experiment = Experiment(Sweep("tams", script="job.sh"), "id", {}, {}, tmp_path)
    job = Job("1", JobState.COMPLETED)
    run = Run(tmp_path, None, job, None, experiment, lambda path, _: path)
    assert stop_allowed(run, ["max_age"])


@pytest.mark.parametrize(
    ("script", "fetch", "missing"),
    [
        ("./rn > out.txt 2>&1", [], "'out.txt' and 'run.sbatch'"),
        ("./rn &>> logs/out.txt", ["logs"], "'run.sbatch'"),
        ("${REMEX_COMMAND:-./rn} > log_$SLURM_JOB_ID", [], "'log_*' and 'run.sbatch'"),
        ("srun ./star>out.txt", ["*.txt"], "'run.sbatch'"),
        ("./rn > log_$SLURM_JOB_ID", ["log_*", "run.sbatch"], ""),
        ("./rn > out.txt", ["**/*", "*"], ""),
        ("./rn 2>&1 | tee out.txt", [], ""),
        ("./rn 2> errors.txt", [], ""),
        ("./rn 2>> errors.txt", [], ""),
        ("./mk > build.log\n./rn", [], ""),
        ("# ./rn > out.txt\n./rn", [], ""),
        ("./rn > /dev/null", [], ""),
    ],
)
def test_output_that_is_sent_elsewhere_has_to_be_fetched(script, fetch, missing):
    """Only a command that runs MESA counts, and only its standard output."""
    said = unfetched_log({"run.sbatch": script}, fetch)
    assert (f"add {missing} to fetch=" in said) if missing else not said


def test_the_scripts_up_to_the_one_that_redirects_have_to_be_fetched():
    """Without them the name of the file is not known."""
    texts = {"run.sbatch": "./rn", "rn": "./star > out.txt"}
    assert "add 'run.sbatch' and 'rn' to fetch=" in unfetched_log(texts, ["out.txt"])


def test_the_key_changes_with_what_is_read(tmp_path):
    """Log, history and photos; not other outputs. The run's place stays the same."""
    output = tmp_path / "slurm.out"
    output.write_text("a")
    keys = [measures_keys(log_files(output, tmp_path), tmp_path)]
    (tmp_path / "other").write_text("b")
    assert measures_keys(log_files(output, tmp_path), tmp_path) == keys[0]
    output.write_text("ab")
    keys.append(measures_keys(log_files(output, tmp_path), tmp_path))
    for folder, name in (("LOGS", "history.data"), ("photos", "x100")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("c")
        keys.append(measures_keys(log_files(output, tmp_path), tmp_path))
    assert len({key for _, key in keys}) == 4
    assert len({place for place, _ in keys}) == 1


def test_a_stop_is_allowed_or_not(tmp_path):
    """A termination code that the sweep names; none is never allowed."""
    output = tmp_path / "slurm.out"
    experiment = Experiment(Sweep("tams"), "id", {}, {}, tmp_path)
    job = Job("1", JobState.COMPLETED)
    run = Run(tmp_path, None, job, output, experiment, lambda path, _: path)
    output.write_text(LOG)
    assert stop_allowed(run, ["max_age", "xa_central_lower_limit"])
    assert not stop_allowed(run, ["max_age"])
    output.write_text("")
    assert not stop_allowed(run, ["", "max_age"])


@pytest.mark.parametrize(
    "name",
    [
        "LOGS/history.data.gz",
        "LOGS_10/history.data",
        "out/LOGS_10/history_10.data",
        "history_M1.5.txt",
    ],
)
def test_histories_of_other_names(tmp_path, name):
    """A history is found where an inlist puts it, compressed or not."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    text = b"1\nversion_number\n'r24'\n\n1 2\nmodel_number star_age\n1 1e9\n200 2e9\n"
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (tmp_path / "history_columns.list").write_text("star_age\n")
    assert measures([], tmp_path) == {"mesa_version": "r24", "min_model": 1, "max_model": 200}
