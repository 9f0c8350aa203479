"""The tests do not depend on what the machine's user has set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GITCONFIG = """\
[core]
    autocrlf = true
    hooksPath = {folder}/hooks
[commit]
    gpgsign = true
[init]
    defaultBranch = trunk
    templateDir = {folder}/template
[user]
    useConfigOnly = true
[protocol]
    allow = never
"""


def test_hostile_home(tmp_path):
    """Tests pass, and no hook runs, in a home and an environment that set all that git can read."""
    home, ran = tmp_path / "evil", tmp_path / "ran"
    for folder in ("hooks", "template/hooks", ".config/git", ".ssh"):
        (home / folder).mkdir(parents=True)
    for place in (home / ".gitconfig", home / ".config" / "git" / "config"):
        place.write_text(GITCONFIG.format(folder=home))
    (home / ".config" / "git" / "ignore").write_text("*\n")
    (home / ".config" / "git" / "attributes").write_text("* text eol=crlf\n")
    (home / ".ssh" / "config").write_text("Host *\n  User nobody\n  ProxyCommand false\n")
    for folder in ("hooks", "template/hooks"):
        for name in ("pre-commit", "post-checkout", "pre-push", "reference-transaction"):
            (home / folder / name).write_text(f"#!/bin/sh\ntouch {ran}\nexit 1\n")
            (home / folder / name).chmod(0o755)
    variables = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "GIT_DIR": str(home / "no-repository"),
        "GIT_AUTHOR_DATE": "no date",
        "SSH_AUTH_SOCK": str(home / "no-agent"),
    }
    mine = {"PYTEST_ADDOPTS", "PYTEST_CURRENT_TEST", "GIT_CONFIG_NOSYSTEM"}
    kept = {name: value for name, value in os.environ.items() if name not in mine}
    some = ("tests/unit/transport/test_ssh_config.py", "tests/integration/test_submit.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", *some],
        cwd=ROOT,
        env=kept | variables,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert not ran.exists()
