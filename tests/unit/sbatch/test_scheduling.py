"""A batch script without the options that say when and where it may run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import SweepError
from pytest_remex.sbatch.options import SCHEDULING, read_options
from pytest_remex.sbatch.script import header_lines, without_scheduling


def script(*lines):
    return "\n".join(["#!/bin/bash", *lines, "# a comment", "", "srun ./star -t 5", ""]).encode()


@pytest.mark.parametrize(
    "line",
    [
        "-t 10", "-t10", "--time=10", "--time 1-0", "--time-min=5", "--mem=8G", "--mem 8G",
        "--mem-per-cpu=2G", "--mem-per-gpu=2G", "-p long", "--partition=long", "--part long",
        "-A me", "--account=me", "--acco me", "-q high", "--qos=high", "--reservation=r",
        "--mail-type=END", "--mail-user me@here", "-J star", "--job-name='a star'", "-o out.%j",
        "--output=x", "-e err", "--error=err", "--nice", "--nice=5", "--comment='a b'",
        "-b now+1hour", "--begin=16:00", "-x n[1-3]", "--exclude=n1", "-w n1", "--nodelist=n1",
        "-F hosts", "-M other", "--clusters=other", "-H", "--hold", "--deadline=tomorrow",
        "--priority=5", "--wckey=w", "-d afterok:12", "-Ht 10", "-t 10 -p long --mem=8G # so",
        "--time\n#SBATCH 10", "-J\n#SBATCH 'x y' -t 1",
    ],
)  # fmt: skip
def test_left_out(line):
    """Every spelling of options on when, where and notification is removed, in any line."""
    plain = script("#SBATCH -n 4", "#SBATCH --gres=gpu:1 # one")
    for lines in ((line, "-n 4", "--gres=gpu:1 # one"), ("-n 4", "--gres=gpu:1 # one", line)):
        assert without_scheduling(script(*(f"#SBATCH {each}" for each in lines))) == plain


@pytest.mark.parametrize(
    "line",
    [
        "-N 2", "--nodes=2", "-n 4", "--ntasks=4", "-c 8", "--cpus-per-task 8", "-G 1",
        "--gpus=1", "--gres=gpu:2", "-C skylake", "--constraint=skylake", "--array=1-3",
        "--ntasks-per-node=4", "--exclusive", "--mem-bind=local", "--signal=B:USR1@60",
        "--export=NONE", "--licenses=l", "--open-mode=append", "--unknown=1", "-O", "--tmp=5G",
    ],
)  # fmt: skip
def test_kept(line):
    """Options on resources, and unknown ones, stay byte for byte."""
    before = script(f"#SBATCH  {line}   # with a comment", "#SBATCH -t 10")
    assert without_scheduling(before) == script(f"#SBATCH  {line}   # with a comment")


@pytest.mark.parametrize(
    ("line", "rest"),
    [
        ("-n 4 -t 10 -c 2", "-n 4 -c 2"),
        ("-Ht 10 -On4", "-O -n4"),
        ("-t 10 --gres 'gpu:a 1' -J x", "--gres 'gpu:a 1'"),
        ("-t 10 -n\n#SBATCH 4 --mem=1G", "-n 4"),
        ("-n\n#SBATCH 4 -t\n#SBATCH 10 -c 2", "-n 4\n#SBATCH -c 2"),
        ("--nice -n 4", "-n 4"),
    ],
)
def test_lines_with_both(line, rest):
    """Of a line with both, what is not scheduling stays."""
    assert without_scheduling(script(f"#SBATCH {line}")) == script(f"#SBATCH {rest}")


def test_only_the_header():
    """Below the first command, and in other comments, nothing is left out."""
    text = b"#!/bin/sh\n# SBATCH -t 1\n##SBATCH -t 1\n #SBATCH -t 1\ntrue\n#SBATCH -t 1\n\xff"
    assert without_scheduling(text) == text
    assert without_scheduling(b"#!/bin/sh\n#SBATCH -t 1\n\xff\n#SBATCH -t 1") == (
        b"#!/bin/sh\n\xff\n#SBATCH -t 1"
    )


OPTION = st.sampled_from(
    ["-t 10", "-n 4", "--mem=8G", "-c2", "--gres 'a b'", "-Ht5", "-J 'x # y'", "--nice", "-Oc 3"]
)
LINE = st.lists(OPTION, max_size=3).map(" ".join)
BREAK = st.sampled_from([" ", "\n#SBATCH ", "\n# comment\n\n#SBATCH "])


@given(st.lists(LINE, max_size=4), st.data())
def test_any_header(lines, data):
    """The rest says what the header said without scheduling, and is itself the same again."""
    text = "\n#SBATCH ".join(lines)
    broken = "".join(data.draw(BREAK) if each == " " else each for each in text)
    whole = script(f"#SBATCH {broken}" if "'" not in broken else f"#SBATCH {text}")
    rest = without_scheduling(whole)
    before, after = (read_options(header_lines(each.decode())) for each in (whole, rest))
    assert after == {name: value for name, value in before.items() if name not in SCHEDULING}
    assert without_scheduling(rest) == rest


def test_script_that_cannot_run():
    """A script that sbatch refuses has no fingerprint: the error says why."""
    with pytest.raises(SweepError, match="unclosed quote"):
        without_scheduling(b"#!/bin/sh\n#SBATCH -J 'x\n")
