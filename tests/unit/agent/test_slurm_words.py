"""What Slurm prints, read: recorded from Slurm 22.05, with older and newer forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rejections import DOUBTFUL, LIMIT, PERMANENT

from pytest_remex.agent import slurm, slurm_commands, slurm_parse, states, verdicts
from pytest_remex.agent.slurm_commands import FIELD, ROW

SQUEUE = (
    "CLUSTER: there\n"
    "\x1e2_0\x1f2\x1fPENDING\x1fJobHeldUser\x1f0:00\x1f3:00\x1f1\x1f100M\x1fremex:arr"
    "\x1f/runs/odd dir|\n"
    '%j "x"\n'
    "\x1e1\x1f1\x1fCOMPLETED\x1fNone\x1f1-02:00:01\x1fUNLIMITED\x1f4\x1f0\x1f(null)\x1f/runs/r\n"
)
SACCT = (
    "1\x1f1\x1fFAILED\x1f7:0\x1f1\x1f3\x1f\x1f100M\x1f1\x1fremex:abc\x1f/runs/odd dir|\n"
    "%j `x`\n"
    "1.batch\x1f1.batch\x1fFAILED\x1f7:0\x1f1\x1f\x1f3120K\x1f\x1f1\x1f\x1f\n"
    "1.0\x1f1.0\x1fCOMPLETED\x1f0:0\x1f1\x1f\x1f2.5M\x1f\x1f1\x1f\x1f\n"
    "2_2\x1f9\x1fCANCELLED by 1000\x1f0:15\x1f65\x1fUNLIMITED\x1f\x1f4Gc\x1f2\x1f\x1f/runs/2\n"
    "3_[0-2,7%2]\x1f3\x1fPENDING\x1f0:0\x1f0\x1f3\x1f\x1f100Mn\x1f0\x1f\x1f/runs/3\n"
)


def test_squeue():
    """Rows survive blanks, bars and line breaks in a work directory; a header is skipped."""
    held, done = slurm_parse.listing(SQUEUE)
    assert (held.id, held.raw, held.held_by_user) == ("2_0", "2", True)
    assert held.work_dir == '/runs/odd dir|\n%j "x"'
    assert (held.time_limit, held.memory_limit, held.comment) == (180.0, 100 << 20, "remex:arr")
    assert (done.elapsed, done.time_limit, done.cores, done.reason) == (93601.0, None, 4, "")
    assert (done.comment, done.memory_limit) == ("", None)


@given(st.text(st.characters(exclude_characters="\x1e\x1f\n", exclude_categories=["Cs"])))
def test_any_work_directory_is_read_back(folder):
    """Whatever a folder is called, its row gives it back."""
    row = ["7", "7", "RUNNING", "None", "0:01", "1:00", "1", "0", "remex:x", folder]
    (read,) = slurm_parse.listing(ROW + FIELD.join(row) + "\n")
    assert read.work_dir == folder


def test_exit_codes():
    """A wait status and, as newer versions may write, `code:signal`."""
    text = "1          1792   \n2_0        9      \n3          0:15  \nslurm_load_jobs error: no\n"
    assert slurm_parse.exit_codes(text) == {"1": (7, 0), "2_0": (0, 9), "3": (0, 15)}


def test_sacct():
    """Steps give the peak memory; tasks that never started share a row."""
    jobs = slurm_parse.accounts(SACCT)
    assert sorted(jobs) == ["1", "2_2", "3_0", "3_1", "3_2", "3_7"]
    first = jobs["1"]
    assert (first.exit_code, first.signal, first.elapsed, first.time_limit) == (7, 0, 1, 180.0)
    assert (first.memory, first.memory_limit) == (3120 << 10, 100 << 20)
    assert first.work_dir == "/runs/odd dir|\n%j `x`"
    assert (jobs["2_2"].word, jobs["2_2"].signal) == ("CANCELLED by 1000", 15)
    assert jobs["2_2"].memory_limit == 4 << 30
    assert jobs["3_7"].word == "PENDING"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:07", 7), ("2:03", 123), ("1:02:03", 3723), ("3-01:00:00", 262800), ("INVALID", None),
     ("UNLIMITED", None), ("Partition_Limit", None), ("", None)],
)  # fmt: skip
def test_durations(text, seconds):
    """Durations as squeue writes them, in seconds."""
    assert slurm_parse.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("3120K", 3120 << 10), ("1.50G", 3 << 29), ("4Gn", 4 << 30), ("0", None), ("", None),
     ("512", 512)],
)  # fmt: skip
def test_sizes(text, size):
    """Memory sizes in bytes, with the old suffixes for node and core."""
    assert slurm_parse.size(text) == size


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("5", ["5"]), ("5_7", ["5_7"]), ("5_[3]", ["5_3"]),
     ("5_[0-4:2,9%1]", ["5_0", "5_2", "5_4", "5_9"])],
)  # fmt: skip
def test_tasks(name, tasks):
    """Ranges of array tasks, with steps and a throttle."""
    assert list(slurm_parse.tasks(name)) == tasks


def test_settings_and_limits():
    """The lowest submit limit among the user's associations and their QOS counts."""
    text = "MaxArraySize            = 1001\nMessageTimeout          = 10 sec\n"
    assert slurm_parse.settings(text)["MessageTimeout"] == "10 sec"
    assert (
        slurm_parse.max_submit("500|normal,long\n|normal\n", "normal|\nlong|100\ngold|5\n") == 100
    )
    assert slurm_parse.max_submit("|normal\n", "normal|\n") is None


@pytest.mark.parametrize(
    ("word", "reason", "state"),
    [("PENDING", "JobHeldUser", "HELD"), ("PENDING", "Priority", "PENDING"),
     ("CANCELLED by 0", "", "CANCELLED"), ("CANCELLED+", "", "CANCELLED"),
     ("CONFIGURING", "", "PENDING"), ("SPECIAL_EXIT", "", "HELD"), ("BRAND_NEW", "", "UNKNOWN"),
     ("", "", "UNKNOWN")],
)  # fmt: skip
def test_states(word, reason, state):
    """Slurm's words become ours; one that nobody has seen yet is UNKNOWN."""
    assert states.state_of(word, reason) == state


@pytest.mark.parametrize(
    ("said", "job"),
    [("123\n", "123"), ("123;east\n", "123;east"), ("Submitted batch job 9\n", "9"),
     ("Submitted batch job 9 on cluster east\n", "9;east"),
     ("you have 500 core-hours left, 20 jobs\n77\nThank you. 8\n", "77"),
     ('sbatch: warning: x\n77\n\n{"exit": 0}\n', "77")],
)  # fmt: skip
def test_an_id_is_found_among_chatter(said, job):
    """The only line that is an id is the id, where sbatch ended well."""
    assert verdicts.judge(said, 0) == verdicts.Verdict(verdicts.HELD, job=job)


@pytest.mark.parametrize("code", [None, 1, 3, 255, -9])
@pytest.mark.parametrize(
    "said", ["123\n", "123;east\n", "Submitted batch job 9\n", "1\nsbatch: error: " + PERMANENT[0]]
)
def test_an_id_counts_only_with_a_good_end(said, code):
    """A number from an sbatch that failed, or whose end nobody saw, is in doubt."""
    assert verdicts.judge(said, code).kind == "doubt"


@pytest.mark.parametrize("words", [*PERMANENT[:3], *LIMIT, *DOUBTFUL])
@pytest.mark.parametrize("number", ["", "5\n"])
def test_a_good_end_with_words_of_failure_is_doubt(number, words):
    """A wrapper that loses the exit status makes neither a job of a number nor a refusal."""
    assert verdicts.judge(f"{number}sbatch: error: {words}\n", 0).kind == "doubt"


@pytest.mark.parametrize("code", [0, 1, None])
@pytest.mark.parametrize("said", ["", "12\n34\n", "welcome12", "Killed\n", "0\n", *DOUBTFUL])
def test_what_is_no_answer_is_doubt(said, code):
    """No id, two ids, or words that are in no list of refusals leave doubt."""
    words = "sbatch: error: " + said if said in DOUBTFUL else said
    assert verdicts.judge(words, code).kind == "doubt"


@given(st.text(), st.integers(1, 255) | st.integers(-31, -1) | st.none())
def test_no_words_make_a_job_of_a_failure(said, code):
    """Whatever a failed sbatch prints, its job is not believed."""
    assert verdicts.judge(said, code).kind != "held"


@pytest.mark.parametrize("said", PERMANENT)
def test_refusals(said):
    """Definite refusals are told in Slurm's words, where sbatch is known to have failed."""
    assert verdicts.judge(said, 1) == verdicts.Verdict(verdicts.REJECTED, words=said)
    assert verdicts.judge(said, None).kind == "doubt"


@pytest.mark.parametrize("said", LIMIT)
def test_limits(said):
    """Submit limits are refusals for now."""
    assert verdicts.judge(said, 1).kind == "limit"


def test_a_limit_on_size_is_not_a_submit_limit():
    """Slurm uses the same last line for limits that waiting does not lift."""
    said = (
        "sbatch: error: QOSMaxWallDurationPerJobLimit\n"
        "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy"
        " (job submit limit, user's size and/or time limits)\n"
    )
    assert verdicts.judge(said, 1).kind == "rejected"


def test_ids_are_split_to_fit_a_command_line():
    """No part is longer than a command line takes, and none is lost."""
    jobs = [str(number) for number in range(10_000_000, 10_010_000)]
    parts = slurm.chunks(jobs)
    assert [job for part in parts for job in part] == jobs
    assert all(len(",".join(part)) <= slurm.LENGTH for part in parts)
    assert slurm.chunks([]) == []


def test_no_filter_goes_with_a_cancel():
    """A filter would make scancel end the whole array of a task."""
    assert slurm_commands.cancel(["12_3"]) == ["scancel", "12_3"]


def test_a_folder_in_what_scontrol_shows():
    """A job's folder is compared whole, whatever its name holds."""
    text = "JobId=1 Command=/r/a b/run.sbatch WorkDir=/r/a b StdErr=/r/a b/x StdIn=/dev/null\n"
    assert slurm_parse.shows_folder(text, {"/x", "/r/a b"})
    assert not slurm_parse.shows_folder(text, {"/r", "/r/a b/c"})
    assert slurm_parse.shows_folder("JobId=1 WorkDir=/r\nx StdErr=y", {"/r\nx"})


def test_scontrol_words_of_a_hostile_folder_do_not_count():
    """What looks like a word in a folder's name does not stand in for the real one."""
    text = "JobId=1 JobState=RUNNING Reason=None WorkDir=/x JobState=COMPLETED ExitCode=9:0\n"
    assert slurm_parse.shown(text)["JobState"] == "RUNNING"
