"""Output of squeue, sacct and scontrol is parsed: recorded from Slurm 22.05, and variants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.agent.slurm import parse
from pytest_remex.agent.slurm.commands import FIELD, ROW

SQUEUE = (
    "CLUSTER: there\n"
    "\x1e2_0\x1f2\x1fPENDING\x1fJobHeldUser\x1f0:00\x1f3:00\x1f1\x1f100M\x1fremex:arr"
    "\x1f/runs/odd dir|\n"
    '%j "x"\x1f\n'
    "\x1e1\x1f1\x1fCOMPLETED\x1fNone\x1f1-02:00:01\x1fUNLIMITED\x1f4\x1f0\x1f(null)\x1f/runs/r\x1f\n"
)
SACCT = (
    "1\x1f1\x1fFAILED\x1f7:0\x1f1\x1f3\x1f\x1f100M\x1f1\x1fremex:abc\x1f/runs/odd dir|\n"
    "%j `x`\x1f\n"
    "1.batch\x1f1.batch\x1fFAILED\x1f7:0\x1f1\x1f\x1f3120K\x1f\x1f1\x1f\x1f\x1f\n"
    "1.0\x1f1.0\x1fCOMPLETED\x1f0:0\x1f1\x1f\x1f2.5M\x1f\x1f1\x1f\x1f\x1f\n"
    "2_2\x1f9\x1fCANCELLED by 1000\x1f0:15\x1f65\x1fUNLIMITED\x1f\x1f4Gc\x1f2\x1f\x1f/runs/2\x1f\n"
    "3_[0-2,7%2]\x1f3\x1fPENDING\x1f0:0\x1f0\x1f3\x1f\x1f100Mn\x1f0\x1f\x1f/runs/3\x1f\n"
)


def test_squeue():
    """Rows survive blanks, bars and line breaks in a work directory; a header is skipped."""
    held, done = parse.listing(SQUEUE)
    assert (held.id, held.raw, held.held_by_user) == ("2_0", "2", True)
    assert held.work_dir == '/runs/odd dir|\n%j "x"'
    assert (held.time_limit, held.memory_limit, held.comment) == (180.0, 100 << 20, "remex:arr")
    assert (done.elapsed, done.time_limit, done.cores, done.reason) == (93601.0, None, 4, "")
    assert (done.comment, done.memory_limit) == ("", None)


@given(st.text(st.characters(exclude_characters="\x1e\x1f\n", exclude_categories=["Cs"])))
def test_any_work_directory_is_read_back(folder):
    """A folder of any name is read back from its row."""
    row = ["7", "7", "RUNNING", "None", "0:01", "1:00", "1", "0", "remex:x", folder]
    (read,) = parse.listing(ROW + FIELD.join(row) + FIELD + "\n")
    assert read.work_dir == folder


def test_cut_listings():
    """Wherever a listing ends, no row that was cut is read: its folder would be another one."""
    whole = SQUEUE.replace("|\n%j", "|%j")
    rows = parse.listing(whole)
    jobs = parse.accounts(SACCT.replace("|\n%j", "|%j"))
    for end in range(len(whole)):
        found = parse.listing(whole[:end])
        assert found == rows[: len(found)]
    for end in range(len(SACCT)):
        found = parse.accounts(SACCT.replace("|\n%j", "|%j")[:end])
        assert all(jobs[job].work_dir == row.work_dir for job, row in found.items())


def test_what_a_script_adds():
    """Lines before, between and after rows, and blanks round fields, change no row."""
    banner = "Thank you: 12 jobs.\n"
    rows, jobs = parse.listing(SQUEUE), parse.accounts(SACCT)
    assert parse.listing(banner + SQUEUE.replace(FIELD + "\n", f"{FIELD}  \n{banner}")) == rows
    assert parse.accounts(banner + SACCT.replace(FIELD + "\n", f"{FIELD}  \n{banner}")) == jobs
    assert parse.listing(SQUEUE.replace(FIELD, f"  {FIELD} ")) == rows
    assert parse.accounts(SACCT.replace(FIELD, f"  {FIELD} ")) == jobs
    shown = f"{banner}JobId=7 JobState=PENDING  Reason=JobHeldUser  WorkDir=/r  StdErr=/x\n{banner}"
    assert parse.shows_held(parse.described(shown))
    assert "/r" in parse.work_dirs(parse.described(shown))
    assert parse.described(banner) == ""


def test_exit_codes():
    """A wait status and, as newer versions may write, `code:signal`."""
    text = "1          1792   \n2_0        9      \n3          0:15  \nslurm_load_jobs error: no\n"
    text += "return on the 2nd\n"
    assert parse.exit_codes(text) == {"1": (7, 0), "2_0": (0, 9), "3": (0, 15)}


def test_sacct():
    """Steps give the peak memory; tasks that never started share a row."""
    jobs = parse.accounts(SACCT)
    assert sorted(jobs) == ["1", "2_2", "3_0", "3_1", "3_2", "3_7"]
    assert [job for job, row in jobs.items() if row.shared] == ["3_0", "3_1", "3_2", "3_7"]
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
    assert parse.duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("3120K", 3120 << 10), ("1.50G", 3 << 29), ("4Gn", 4 << 30), ("0", None), ("", None),
     ("512", 512)],
)  # fmt: skip
def test_sizes(text, size):
    """Memory sizes in bytes, with the old suffixes for node and core."""
    assert parse.size(text) == size


@pytest.mark.parametrize(
    ("name", "tasks"),
    [("5", ["5"]), ("5_7", ["5_7"]), ("5_[3]", ["5_3"]),
     ("5_[0-4:2,9%1]", ["5_0", "5_2", "5_4", "5_9"])],
)  # fmt: skip
def test_tasks(name, tasks):
    """Ranges of array tasks, with steps and a throttle."""
    assert list(parse.tasks(name)) == tasks


def test_settings_and_limits():
    """The lowest submit limit among the user's associations and their QOS counts."""
    text = "MaxArraySize            = 1001\nMessageTimeout          = 10 sec\n"
    assert parse.settings(text)["MessageTimeout"] == "10 sec"
    associations, qualities = "500|9|normal,long\n||normal\n", "normal||\nlong|100|30\ngold|5|1\n"
    assert parse.job_limits(associations, qualities) == (100, 9)
    assert parse.job_limits("||normal\n", "normal||\n") == (None, None)
    assert parse.job_limits("", "normal|5|5\n") == (None, None)


@pytest.mark.parametrize(
    ("associations", "qualities", "most"),
    [("4||normal\n", "normal||\n", 4), ("||normal\n", "normal|4|\n", 4),
     ("4||normal\n", "normal|9|\n", 9), ("||normal,debug\n", "normal||\ndebug|2|\n", None),
     ("||normal,debug\n", "normal|500|\ndebug|2|\n", 500),
     ("4||normal\n||normal\n", "normal||\n", None), ("4||\n", "", 4), ("", "normal|5|5\n", None)],
)  # fmt: skip
def test_limit_of_arrays(associations, qualities, most):
    """A limit counts for arrays if no account or QOS of the user allows more jobs."""
    assert parse.array_limit(associations, qualities) == most


def test_a_folder_in_what_scontrol_shows():
    """A job's folder is compared as a whole, whatever its name contains."""
    text = "JobId=1 Command=/r/a b/run.sbatch WorkDir=/r/a b StdErr=/r/a b/x StdIn=/dev/null\n"
    found = set(parse.work_dirs(text))
    assert "/r/a b" in found
    assert not found & {"/r", "/r/a b/c"}
    assert "/r x" in parse.work_dirs("JobId=1 WorkDir=/r\nx StdErr=y")
    assert "/r/x Y=z" in parse.work_dirs("JobId=1 WorkDir=/r/x Y=z")


def test_scontrol_words_of_a_hostile_folder_do_not_count():
    """A folder's name that looks like a `Name=value` word does not replace the real one."""
    text = "JobId=1 JobState=RUNNING Reason=None WorkDir=/x JobState=COMPLETED ExitCode=9:0\n"
    assert parse.shown(text)["JobState"] == "RUNNING"


@pytest.mark.parametrize(
    ("word", "reason", "state"),
    [("PENDING", "JobHeldUser", "HELD"), ("PENDING", "Priority", "PENDING"),
     ("PENDING", "job requeued in held state", "HELD"),
     ("PENDING", "launch_failed_requeued_held", "HELD"), ("PENDING", "JobHoldMaxRequeue", "HELD"),
     ("CANCELLED by 0", "", "CANCELLED"), ("CANCELLED+", "", "CANCELLED"),
     ("CONFIGURING", "", "PENDING"), ("SPECIAL_EXIT", "", "HELD"), ("BRAND_NEW", "", "UNKNOWN"),
     ("", "", "UNKNOWN")],
)  # fmt: skip
def test_states(word, reason, state):
    """Slurm's states become ours; an unknown word is UNKNOWN."""
    assert parse.state_of(word, reason) == state
