"""The reading of run.sbatch, held against the manual and against sbatch itself."""

import os
import re
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_remex.errors import SweepError
from pytest_remex.sbatch.options import format_duration, parse_duration
from pytest_remex.sbatch.script import core_hours, output_patterns, parse_header


def header(*lines):
    return parse_header("\n".join(["#!/bin/bash", *lines, "python3 run.py", ""]))


@pytest.mark.parametrize(
    "line",
    [
        "#SBATCH -t 00:10:00",
        "#SBATCH -t00:10:00",
        "#SBATCH --time=10",
        "#SBATCH --time 10",
        "#SBATCH\t--time=10:00",
        "#SBATCH -t '0-0:10'",
        '#SBATCH --time="10" # ten minutes',
        "#SBATCH -Ht 10",
        "#SBATCH--time=10",
        "#SBATCH -t\n#SBATCH 10",
        "#SBATCH -t 5\n# a comment\n\n  # another\n#SBATCH -t 10",
    ],
)
def test_spellings(line):
    """Every spelling of an option that sbatch accepts is read; the last one wins."""
    assert header(line).time_limit == 600


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("#SBATCH -J a", "a"),
        ("#SBATCH -Ja", "a"),
        ("#SBATCH --job-name=a=b", "a=b"),
        ("#SBATCH --job 'a b' # c", "a b"),
        (r"#SBATCH -J a\b\"c\ -n 2", 'ab"c'),
        ('#SBATCH -J "a # \\"b\\""', 'a # "b"'),
        ("#SBATCH -J a#b", "a"),
        ("#SBATCH -J a'b'\"c\"", "abc"),
        ("#SBATCH --exclusive --mem 4G --nice=5 -J a", "a"),
        ("#SBATCH --mail-user=me@here -L lic -koff -J a", "a"),
        ("## SBATCH -J b\n# SBATCH -J c\n #SBATCH -J d", None),
        ("#SBATCH # -J b", None),
    ],
)
def test_words(line, name):
    """Quotes, backslashes and trailing comments are read as sbatch reads them."""
    assert header(line).name == name


def test_header_ends_at_the_first_command():
    """An #SBATCH line below the first command is not part of the header."""
    found = parse_header("#!/bin/sh\n#SBATCH -J a\n\nmodule load x\n#SBATCH -J b --wait\n")
    assert (found.name, found.lines) == ("a", ("#SBATCH -J a",))


def test_header_fields():
    """A header has its shebang, file names, partition and whether the job is to be held."""
    found = header("#SBATCH -o out.%j -e err -p long --hold")
    assert found.shebang == "#!/bin/bash"
    assert (found.output, found.error, found.partition) == ("out.%j", "err", "long")
    assert found.held
    assert found.time_limit is None
    assert not header().held


@pytest.mark.parametrize(
    ("options", "cores"),
    [
        ("", 1),
        ("-n 4", 4),
        ("-n 4 -c 2", 8),
        ("--nodes=2 --ntasks-per-node=3 --cpus-per-task=4", 24),
        ("-N 2-4 --tasks-per-node=3", 6),
        ("-N 2 -n 1", 2),
        ("-N 2 --mincpus=8", 16),
        ("-N 1k", 1024),
    ],
)
def test_cores(options, cores):
    """Cores are tasks times cores a task, and at least one a node."""
    assert header(f"#SBATCH {options}").cores == cores


def test_core_hours():
    """Core-hours are cores times the time limit, and unknown without one."""
    assert core_hours(header("#SBATCH -n 4 -t 30")) == 2
    assert core_hours(header("#SBATCH -n 4")) is None


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo\n", "'echo'.*#!"),
        ("", "''.*#!"),
        ("#!\necho\n", "#!"),
        ("#!/bin/bash\r\n#SBATCH -n 1\r\n", "dos2unix"),
        ("#!/bin/bash\n\0", "NUL"),
        ("#!/bin/bash\n#SBATCH --wait\n", "--wait.*remove"),
        ("#!/bin/bash\n#SBATCH -W\n", "--wait.*remove"),
        ("#!/bin/bash\n#SBATCH --array=1-3\n", "--array 1-3.*remove"),
        ("#!/bin/bash\n#SBATCH -a1-3\n", "--array 1-3.*--remex-array"),
        ("#!/bin/bash\n#SBATCH --arr 1-3\n", "--array 1-3"),
        ("#!/bin/bash\n#SBATCH --test-only\n", "--test-only"),
        ("#!/bin/bash\n#SBATCH -D /scratch\n", "/scratch.*run directory"),
        ("#!/bin/bash\n#SBATCH hetjob\n", "heterogeneous"),
        ("#!/bin/bash\n#SBATCH -J 'a\n", "quote"),
        ("#!/bin/bash\n#SBATCH n=4\n", "'n=4'"),
        ("#!/bin/bash\n#SBATCH -t soon\n", "'soon'"),
        ("#!/bin/bash\n#SBATCH -n many\n", "'many'"),
    ],
)
def test_refusals(script, words):
    """Options that cannot be a run's are refused with the value and the fix."""
    with pytest.raises(SweepError, match=words):
        parse_header(script.encode())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5", 300),
        ("5:30", 330),
        ("1:02:03", 3723),
        ("1-02", 93600),
        ("1-02:03", 93780),
        ("1-02:03:04", 93784),
        ("0", None),
        ("-1", None),
        ("unlimited", None),
    ],
)
def test_time_formats(text, seconds):
    """Each of the six time formats of sbatch's manual is read, and no limit is None."""
    assert parse_duration(text) == seconds
    assert header(f"#SBATCH --time {text}").time_limit == seconds


@given(st.integers(min_value=1, max_value=10**9))
def test_durations_return(seconds):
    """A duration that was written is read back."""
    assert parse_duration(format_duration(seconds)) == seconds


@pytest.mark.parametrize(
    ("options", "job", "patterns"),
    [
        ("", "12", ("slurm-12.out",)),
        ("", "12_3", ("slurm-12_3.out",)),
        ("-o out", "12", ("out",)),
        ("-o out -e err/%x.%A", "12", ("out", "err/run.sbatch.12")),
        ("-o out -e out", "12", ("out",)),
        ("-J name -o %x-%u-%5j-%%.log", "12", ("name-me-00012-%.log",)),
        ("-o %3a.%A", "12_3", ("003.12",)),
        ("-o %j.%a", "12_3", ("*.3",)),
        ("-o %N_%J_%t", "12", ("*_12_0",)),
        ("-o 'a[1]?.out'", "12", ("a[[]1][?].out",)),
        (r"-o 'a\\%j'", "12", ("a%j",)),
        ("-o /dev/null", "12", ()),
        ("-o ../x -e here", "12", ("here",)),
    ],
)
def test_output_patterns(options, job, patterns):
    """A job's output is found by its filename pattern, if that is in the run directory."""
    assert output_patterns(header(f"#SBATCH {options}"), job, user="me") == patterns


@pytest.fixture
def sbatch(tmp_path):
    """Return a function that says what sbatch itself reads in a script; no controller is asked."""
    if not shutil.which("sbatch"):
        pytest.skip("sbatch is not installed")
    config = tmp_path / "slurm.conf"
    config.write_text(
        "ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=9\n"
        "NodeName=localhost CPUs=1\nPartitionName=p Nodes=localhost\n"
    )

    def read(script):
        path = tmp_path / "run.sbatch"
        path.write_text(script)
        command = ["sbatch", "-vv", "--test-only", path.name]
        with subprocess.Popen(
            command,
            cwd=tmp_path,
            env=os.environ | {"SLURM_CONF": str(config)},
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            lines = []
            for line in process.stderr:
                lines.append(line)
                if "end of defined options" in line:
                    break
            process.kill()
        return dict(re.findall(r"sbatch: ([a-z-]+) +: (.*)\n", "".join(lines)))

    return read


@pytest.mark.parametrize(
    "lines",
    [
        "#SBATCH -J 'a b' -t 1-02 -n5 -c 2 # -n 7",
        "#SBATCH --job x\\y --time 3:30:00 -N 2-3 -o a%j",
        "#SBATCH-Jx#y -n 3\n# c\n\n#SBATCH -t\n#SBATCH 90",
        "#SBATCH -HJ a''b -t '7' --part p",
        '#SBATCH -o \'x y\' -e z"\\""q --exclusive --mem 4G -J n',
        '#SBATCH -J a "" -n 4',
    ],
)
def test_agrees_with_sbatch(sbatch, lines, tmp_path):
    """Names, time limits and file names are what sbatch itself makes of the header."""
    script = f"#!/bin/bash\n{lines}\necho\n"
    found, theirs = parse_header(script), sbatch(script)
    assert theirs
    assert theirs.get("job-name") == found.name
    assert theirs.get("partition") == found.partition
    assert (theirs.get("hold") == "set") == found.held
    limit = theirs.get("time")
    assert (parse_duration(limit) if limit else None) == found.time_limit
    for name, ours in (("output", found.output), ("error", found.error)):
        assert theirs.get(name) == (f"{tmp_path}/{ours}" if ours else None)
    tasks = int(theirs.get("ntasks", 1)) * int(theirs.get("cpus-per-task", 1))
    assert max(tasks, int(theirs.get("nodes", "1").split("-")[0])) == found.cores
