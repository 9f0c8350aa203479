"""A cluster on this machine for one measurement: a real Slurm behind a real sshd, all of it fresh.

The queue is empty at the start, the partition is down, so that jobs are accepted and none runs,
and nothing was deleted before: that makes later files slow on some file systems.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from measured import Ran, run

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.projects import Project, git, make_project
from support.proxy import Proxy
from support.slurm import SlurmCluster
from support.sshd import SshServer

MEMORY = Path("/dev/shm")  # noqa: S108 - a file system in memory, not a file's name
BUSY = ("PYTHONDONTWRITEBYTECODE", "SLURM_CONF")
"""What this process may have in its environment and a user's shell does not."""
ONLY_OURS = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_PLUGINS": "pytest_remex.plugin,pytest_remex.extensions.mesa.plugin",
}
"""As where only this package is installed: the tests' own plugins take their time too."""
GIT_WORDS = "git_words"
"""The folder, in the user's home, of the files that name the words of each git command."""
GIT_WRAPPER = """\
#!/bin/sh
printf '%s\\n' "$@" > "$(mktemp {notes}/XXXXXX)"
exec {git} "$@"
"""


@dataclass(frozen=True)
class Traffic:
    """What a command cost other machines: connections, log-ins, sessions, and git's transfers."""

    connections: int
    authentications: int
    sessions: int
    pushes: int
    fetches: int


@dataclass(frozen=True)
class Loopback:
    """A user's project and a cluster; `home` is the user's, `host` the cluster's name there."""

    cluster: SlurmCluster
    sshd: SshServer
    project: Project
    home: Path
    host: str

    def pytest(self, *options: str, codes: tuple[int, ...] = (0,)) -> Ran:
        """Run pytest on the project's sweeps, as a user would."""
        words = [sys.executable, "-m", "pytest", "sweeps.py", *options]
        return self._run(words, codes=codes)

    def python(self, program: str) -> Ran:
        """Run a Python program in the project's repository."""
        return self._run([sys.executable, "-c", program])

    def ssh(self, *words: str, text: str = "") -> Ran:
        """Run a command on the cluster through OpenSSH, with `text` as its input."""
        return self._run(["ssh", *self._ssh_options(), self.host, *words], text=text)

    def rsync(self, names: list[str], target: Path, *options: str) -> Ran:
        """Copy files from the folder of run directories to a folder here."""
        return self._rsync([*options, "--files-from=-"], target, text="\n".join(names))

    def rsync_filtered(self, names: tuple[str, ...], target: Path) -> Ran:
        """Copy the files of these names from all run directories to a folder here."""
        folders = {f"/*/{parent}/" for name in names if (parent := name.rpartition("/")[0])}
        wanted = ["/*/", *sorted(folders), *(f"/*/{name}" for name in names)]
        return self._rsync([*(f"--include={each}" for each in wanted), "--exclude=*"], target)

    def rsync_whole(self, target: Path) -> Ran:
        """Copy all run directories, with all that is in them, to a folder here."""
        return self._rsync(["--exclude=/.remex"], target)

    def _rsync(self, options: list[str], target: Path, text: str = "") -> Ran:
        door = " ".join(["ssh", *self._ssh_options()])
        source = f"{self.host}:{self.project.runs}/"
        return self._run(["rsync", "-a", *options, "-e", door, source, f"{target}/"], text=text)

    def configure(self, text: str = "") -> None:
        """Write pytest's ini file into the project's repository; `text` are more lines of it."""
        (self.project.repository / "pytest.ini").write_text(
            f"[pytest]\nremex_host = {self.host}\nremex_clone = {self.project.clone}\n"
            f"remex_runs = {self.project.runs}\n{text}"
        )

    def traffic(self) -> Traffic:
        """Count what there was since the start; git's part needs `watch_git` first."""
        counts, names = self.sshd.counts(), Counter(_git_words(self.home))
        return Traffic(
            counts.connections,
            counts.authentications,
            counts.sessions,
            names["push"],
            names["fetch"],
        )

    def watch_git(self) -> None:
        """Note the words of each git command from now on, here and on the cluster.

        The product's git commands write no traces, whatever the environment asks for.
        """
        notes = self.home / GIT_WORDS
        notes.mkdir()
        script = GIT_WRAPPER.format(notes=notes, git=shutil.which("git"))
        for folder in (self.home / "bin", self.sshd.home / "bin"):
            folder.mkdir(exist_ok=True)
            (folder / "git").write_text(script)
            (folder / "git").chmod(0o755)

    def queued(self) -> int:
        """Count the jobs in the queue; a task of an array is a job."""
        return len(self.cluster.jobs())

    def _ssh_options(self) -> list[str]:
        return ["-F", str(self.home / ".ssh" / "config")]

    def _run(self, words: list[str], text: str = "", codes: tuple[int, ...] = (0,)) -> Ran:
        kept = {name: value for name, value in os.environ.items() if name not in BUSY}
        changed = ONLY_OURS | {
            "HOME": str(self.home),
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "GIT_SSH_COMMAND": " ".join(["ssh", *self._ssh_options()]),
            # else a session of pytest may take its time to remove what older ones left
            "PYTEST_DEBUG_TEMPROOT": str(self.home),
        }
        folder = self.project.repository
        return run(words, folder=folder, environment=kept | changed, text=text, codes=codes)


def use_memory() -> None:
    """Put all temporary folders, of the programs started here too, in memory where that exists."""
    if MEMORY.is_dir():
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


@contextmanager
def loopback(
    files: Mapping[str, str],
    *,
    latency: float = 0,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Loopback]:
    """Start a cluster and make a project with these files, for the length of a with block.

    `latency` is in ms each way between the user and the cluster; `settings` are lines of
    slurm.conf.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="remex-bench-")))
        home = folder / "home"
        home.mkdir()
        cluster = stack.enter_context(SlurmCluster(nodes=1, settings=settings))
        cluster.down()
        sshd = stack.enter_context(SshServer(cluster.variables))
        port = stack.enter_context(Proxy(sshd.port, latency)).port if latency else sshd.port
        host = sshd.client(home, port)
        project = make_project(folder)
        if files:
            project.commit(dict(files))
            git(project.clone, "pull", "--quiet", "--ff-only")
        started = Loopback(cluster, sshd, project, home, host)
        started.configure()
        yield started


def _git_words(home: Path) -> Iterator[str]:
    """Name the words of the git commands that were noted; nothing where git was not watched."""
    for note in (home / GIT_WORDS).glob("*"):
        yield from note.read_text(errors="replace").splitlines()
