"""docs/tutorial.md, section 5: the tutorial's project on a cluster, as the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from support.sshd import HOST, TRANSPORT

PAGE = (Path(__file__).parents[2] / "docs" / "tutorial.md").read_text()
FILES = re.findall(r"<!-- file: (.*?) -->\n```\w+\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SECTION = PAGE.partition("## 5. ")[2]
(SHARE,) = re.findall(r"^```bash\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
(INI,) = re.findall(r"^```ini\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"`((?:pytest sweeps.py )?--remex[\w -]+)`", SECTION)


def typed(command, folder, home, code=0):
    """Run what a reader types, and return what it shows; it must end with the exit code."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", f'ssh() {{ command ssh -F "$HOME/.ssh/config" "$@"; }}\n{command}'],
        cwd=folder,
        env={**os.environ, "PATH": path, "HOME": str(home), "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, done.stdout
    return done.stdout


def test_the_tutorial_on_a_cluster(cluster, sshd, home, tmp_path):
    """Clone, configuration and commands are enough: six runs there, judged as on this machine."""
    folder, origin = tmp_path / "pendulum", tmp_path / "pendulum.git"
    folder.mkdir()
    for name, text in FILES:
        (folder / name).write_text(text)
    typed(
        "git config --global user.name Reader; git config --global user.email r@e.org", folder, home
    )
    typed(f"git init --quiet --bare {origin}; git init --quiet; pytest --remex-init", folder, home)
    script = folder / "run.sbatch"
    needed = f"set -e\nexport PATH={Path(sys.executable).parent}:$PATH\n"
    script.write_text(script.read_text().replace("set -e\n", needed))
    typed("git add --all; git commit --quiet -m 'A pendulum'", folder, home)
    share = SHARE.replace("git@example.org:you/pendulum.git", str(origin))
    # the tests' sshd starts in the home of the password database, which is another one
    share = share.replace("user@machine '", f"{HOST} 'cd; ")
    typed(share, folder, home)
    wanted = [line for line in INI.splitlines() if line.startswith("remex_")]
    written = (folder / "pytest.ini").read_text()
    assert [f"# {line.partition(' = ')[0]} = " in written for line in wanted] == [True] * 3
    transport = f"remex_transport = {TRANSPORT}\nremex_poll = 1\n"
    (folder / "pytest.ini").write_text(INI.replace("user@machine", HOST) + transport)
    assert [each.split()[-1] for each in COMMANDS] == [
        "--remex-doctor",
        "--remex-submit",
        "--remex-wait",
        "--remex-collect",
    ]
    codes = [0, 0, 0, 1]
    shown = [
        typed(f"pytest sweeps.py {each.removeprefix('pytest sweeps.py ')}", folder, home, code)
        for each, code in zip(COMMANDS, codes, strict=True)
    ]
    doctor, submit, status, collect = shown
    assert "fault" not in doctor, doctor
    assert "6 experiments submitted" in submit, submit
    assert "6 completed" in status, status
    assert "2 failed, 4 passed" in collect, collect
    assert len(list((sshd.home / "pendulum-runs").glob("*_swings_time_*"))) == 6
