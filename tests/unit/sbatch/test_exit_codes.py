"""Scripts whose last command hides the exit code of their program, against a real shell."""

from __future__ import annotations

import subprocess

import pytest

from pytest_remex.sbatch.exit_codes import hidden_exit_codes

HIDING = {
    "date": "./star\ndate",
    "MESA's rn": "rm -f restart_photo\n\ndate '+DATE: %Y%nTIME: %H'\n./star\ndate '+DATE: %Y'",
    "one line": "./star; echo done",
    "tee": "./star 2>&1 | tee out.txt",
    "errexit and tee": "set -e\n./star | tee out.txt",
    "exit 0": "./star\nexit 0",
    "or true": "./star || true",
    "errexit and or true": "set -eu\n./star || true",
    "a branch": "if [ -f x ]; then\n  ./star a\nelse\n  ./star\nfi\ndate",
    "wait": "./star &\nwait",
    "command": "${REMEX_COMMAND:-./star}\ngzip -f *.none || true",
    "a continued line": "./star \\\n  input\necho 'done; really'",
}
TELLING = {
    "last": "date\n./star",
    "exec": "exec ./star",
    "errexit": "set -e\n./star\ndate",
    "errexit by name": "set -o errexit\n./star\ndate",
    "errexit of the shebang": "#!/bin/bash -e\n./star\ndate",
    "saved": "./star\ncode=$?\ndate\nexit $code",
    "or exit": "./star || exit 1\ndate",
    "condition": "if ! ./star; then\n  echo failed\n  exit 1\nfi\ndate",
    "and": "./star && date",
    "pipefail": "set -o pipefail\n./star | tee out.txt",
    "errexit and pipefail": "set -eo pipefail\n./star | tee out.txt\ndate",
    "PIPESTATUS": "./star | tee out.txt\nexit ${PIPESTATUS[0]}",
    "a check": "./star\ndate\ntest -s history.data",
    "a function": "okay() {\n  if [ $? -ne 0 ]; then exit 1; fi\n}\n./star\nokay\ndate",
    "comments": "./star # and then date; or so\n# date",
}


def work(tmp_path, text):
    """Return a folder with a batch script, and a program that fails."""
    text = text if text.startswith("#!") else f"#!/bin/bash\n{text}"
    (tmp_path / "run.sbatch").write_text(text + "\n")
    (tmp_path / "star").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "star").chmod(0o755)
    return tmp_path


def code(folder):
    """Return the exit code of the batch script, as its own shebang runs it."""
    (folder / "run.sbatch").chmod(0o755)
    return subprocess.call(["./run.sbatch"], cwd=folder, stdout=subprocess.DEVNULL, timeout=60)


@pytest.mark.parametrize("name", HIDING)
def test_what_hides_an_exit_code_is_told(tmp_path, name):
    """The program fails, the script does not: so says bash, and so does the message."""
    folder = work(tmp_path, HIDING[name])
    assert code(folder) == 0
    (said,) = hidden_exit_codes(folder)
    assert said.startswith("run.sbatch ")
    assert "star" in said or "REMEX_COMMAND" in said
    assert "a crash would count as COMPLETED" in said


@pytest.mark.parametrize("name", TELLING)
def test_what_tells_the_exit_code_is_fine(tmp_path, name):
    """If the program fails, so does the script: there is no warning."""
    folder = work(tmp_path, TELLING[name])
    assert code(folder) != 0
    assert hidden_exit_codes(folder) == []


@pytest.mark.parametrize("name", [name for name in HIDING if "./star" in HIDING[name]])
def test_the_fixes_fix(tmp_path, name):
    """With the fix in the message, the script fails when its program fails."""
    (said,) = hidden_exit_codes(work(tmp_path, HIDING[name]))
    if "pipefail" in said:
        folder = work(tmp_path, f"set -o pipefail\n{HIDING[name]}")
        assert (code(folder), hidden_exit_codes(folder)) == (3, [])
    elif "remove" in said:
        folder = work(tmp_path, HIDING[name].replace(said.split("`")[-2], ""))
        assert (code(folder), hidden_exit_codes(folder)) == (3, [])
    elif "wait" in name:
        folder = work(tmp_path, HIDING[name].replace("wait", "wait $!"))
        assert (code(folder), hidden_exit_codes(folder)) == (3, [])
    elif "branch" not in name:
        lines = HIDING[name].replace("; ", "\n").splitlines()
        at = max(place for place, line in enumerate(lines) if "./star" in line or "input" in line)
        fixed = [*lines[: at + 1], "code=$?", *lines[at + 1 :], "exit $code"]
        folder = work(tmp_path, "\n".join(line for line in fixed if line != "exit 0"))
        assert (code(folder), hidden_exit_codes(folder)) == (3, [])


def test_scripts_that_are_called_are_looked_at(tmp_path):
    """`run.sbatch` runs `rn`, which ends in `date`; programs in other languages are left out."""
    folder = work(tmp_path, "${REMEX_COMMAND:-./rn}")
    (folder / "rn").write_text("#!/bin/bash\n./star\ndate\n")
    (said,) = hidden_exit_codes(folder)
    assert said.startswith("rn ends in `date`, which hides the exit code of `./star`")
    (folder / "rn").write_text("#!/usr/bin/env python3\n./star\ndate\n")
    assert hidden_exit_codes(folder) == []
    (folder / "rn").write_bytes(b"\x7fELF\0./star\ndate\n")
    assert hidden_exit_codes(folder) == []


def test_the_sweep_s_own_script(tmp_path):
    """`script="job.sh"` is the one that is looked at; one that is not there says nothing."""
    (tmp_path / "job.sh").write_text("./star\ndate\n")
    assert len(hidden_exit_codes(tmp_path, "job.sh")) == 1
    assert hidden_exit_codes(tmp_path) == []
