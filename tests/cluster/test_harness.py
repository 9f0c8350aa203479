"""The harness itself: a real Slurm, a real sshd, and the faults that the other tests inject."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.daemons import wait_until
from support.disk import SmallDisk
from support.projects import git
from support.sites import WITH_ACCOUNTING, WITH_AND_WITHOUT_ACCOUNTING
from support.slurm import SlurmCluster
from support.sshd import BANNER, NOISY_RC, SshServer

TESTS = Path(__file__).parents[1]


def ssh(home, *command):
    """Run a command in a login shell on the cluster, as a user types it."""
    words = ["ssh", "-F", str(home / ".ssh" / "config"), "cluster", "bash", "-lc"]
    remote = f"'{' '.join(command)}'"
    return subprocess.run([*words, remote], capture_output=True, text=True, check=False)


@WITH_AND_WITHOUT_ACCOUNTING
def test_job_over_ssh(home, cluster, project):
    """A job that is submitted over ssh runs the project's script in its folder."""
    answer = ssh(home, f"cd {project.clone} && sbatch --parsable run.sbatch")
    job = cluster.wait(answer.stdout.strip())[answer.stdout.strip()]
    assert (job.state, job.name, job.work_dir) == ("COMPLETED", "star", project.clone)
    assert (project.clone / "slurm.out").read_text() == "a star of mass 1.0\n"
    assert "center_h1" in (project.clone / "LOGS" / "history.data").read_text()


@WITH_ACCOUNTING
def test_accounting_answers(cluster, project):
    """Sacct knows a job and its folder seconds after squeue does, its comment when it has ended."""
    sbatch = ["sbatch", "--parsable", "--comment=remex:abc", "run.sbatch"]
    job = cluster.run(*sbatch, cwd=project.clone).strip()
    sacct = ["sacct", "-nXP", "-j", job, "-o", "JobIDRaw,State,Comment,WorkDir"]
    message = f"{job}|COMPLETED|remex:abc|{project.clone}"
    wait_until(lambda: cluster.run(*sacct).strip() == message, "sacct tells the job")


@WITH_ACCOUNTING
def test_accounting_stopped(cluster):
    """Without slurmdbd sacct fails, but sbatch and squeue work."""
    with cluster.accounting.slurmdbd.stopped():
        with pytest.raises(RuntimeError, match="Problem talking to the database"):
            cluster.run("sacct", "-n")
        cluster.run("sbatch", "--hold", "--wrap=true")
    assert any(job.held for job in cluster.jobs())


@WITH_ACCOUNTING
def test_submit_limit(cluster):
    """A submit limit refuses the job above it, and is removed after the block."""
    with cluster.submit_limit(1):
        cluster.run("sbatch", "--hold", "--wrap=true")
        with pytest.raises(RuntimeError, match="AssocMaxSubmitJobLimit"):
            cluster.run("sbatch", "--hold", "--wrap=true")
    cluster.run("sbatch", "--hold", "--wrap=true")


def test_partition_down(cluster):
    """A partition that is down takes jobs and runs none."""
    cluster.down()
    job = cluster.run("sbatch", "--parsable", "--wrap=true").strip()
    time.sleep(1.5)
    assert {found.id: found.state for found in cluster.jobs()}[job] == "PENDING"
    cluster.up()
    assert cluster.wait(job)[job].state == "COMPLETED"


def test_sshd_counts(home, sshd):
    """Connections, log-ins and sessions are counted from sshd's own log."""
    before = sshd.counts()
    ssh(home, "true")
    wait_until(lambda: (sshd.counts() - before).sessions, "the session is logged")
    counts = sshd.counts() - before
    assert (counts.connections, counts.authentications, counts.sessions) == (1, 1, 1)


def test_noisy_shell(home, sshd):
    """A noisy login shell puts its banner, without a newline, before a command's output."""
    sshd.shell(NOISY_RC)
    assert ssh(home, "echo done").stdout.endswith(f"{BANNER}done\n")


def test_changed_host_key(home, sshd):
    """After the host key has changed ssh refuses, until the client's known_hosts is renewed."""
    sshd.change_host_key()
    assert "Host key verification failed" in ssh(home, "true").stderr
    sshd.client(home)
    assert ssh(home, "true").returncode == 0


def test_max_startups(home, sshd):
    """With MaxStartups 1 a second connection during a login is dropped."""
    with (
        sshd.with_options(MaxStartups="1"),
        socket.create_connection(("127.0.0.1", sshd.port)) as waiting,
    ):
        waiting.recv(1)
        assert ssh(home, "true").returncode == 255
        assert sshd.counts().refused == 1


def test_second_factor(tmp_path):
    """An sshd with a code asks for it after the key, and takes no other."""
    codes = {"000000": 255, "123456": 0}
    with SshServer(code="123456") as server:
        server.client(tmp_path)
        assert [log_in(tmp_path, code) for code in codes] == list(codes.values())
        assert server.counts().authentications == 1
    assert (tmp_path / "asked").read_text().endswith("Password: \n")


def log_in(home, code):
    """Log in with OpenSSH, which has a program ask for the code; return the exit code."""
    ask = home / "ask"
    ask.write_text(f'#!/bin/sh\necho "$1" >>"${{0%/*}}/asked"\necho {code}\n')
    ask.chmod(0o755)
    variables = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    command = ["ssh", "-F", str(home / ".ssh" / "config"), "cluster", "true"]
    return subprocess.run(
        command, env=os.environ | variables, capture_output=True, check=False
    ).returncode


def test_small_disk():
    """A full disk takes no more, a freed one does, and it is unmounted at the end."""
    with SmallDisk() as disk:
        disk.fill(leave=4096)
        with pytest.raises(OSError, match="No space left"):
            (disk.folder / "file").write_bytes(bytes(8192))
        (disk.folder / "filler").unlink()
        (disk.folder / "file").write_bytes(bytes(8192))
    assert str(disk.folder) not in Path("/proc/self/mounts").read_text()


def test_project(project):
    """The user's repository, origin and clone hold the same commit, and follow a new one."""
    sha = project.commit({"inlist_project": "&controls\n/\n"})
    assert git(project.origin, "rev-parse", "main") == sha
    assert git(project.clone, "fetch", "--quiet") == ""
    assert git(project.clone, "rev-parse", "origin/main") == sha
    assert list(project.branches().values()) == [["main"], ["main"], ["main"]]


def test_settings_changed(cluster):
    """A changed setting holds inside the block only."""
    with cluster.changed(MaxArraySize="5"), pytest.raises(RuntimeError, match="job array"):
        cluster.run("sbatch", "--hold", "--array=5", "--wrap=true")
    cluster.run("sbatch", "--hold", "--array=5", "--wrap=true")
    assert [job.id.partition("_")[2] for job in cluster.jobs() if job.held] == ["5"]


def test_controller_crash(cluster):
    """A held job outlives the controller's kill -9; while it is frozen, squeue hangs."""
    start = time.time()
    job = cluster.run("sbatch", "--parsable", "--hold", "--wrap=true").strip()
    cluster.wait_saved(start)
    cluster.controller.kill()
    cluster.controller.start()
    assert [found.held for found in cluster.jobs() if found.id == job] == [True]
    with cluster.controller.frozen(), pytest.raises(subprocess.TimeoutExpired):
        cluster.run("squeue", timeout=1)


def test_start_fails():
    """A cluster that cannot start says why in Slurm's words, and leaves no file."""
    cluster = SlurmCluster(settings={"SelectType": "select/nonsense"})
    with pytest.raises(RuntimeError, match="select/nonsense"), cluster:
        pass
    assert not cluster.folder.exists()


KILLED = """
import os, signal, sys
from support.slurm import SlurmCluster
from support.slurm import SlurmCluster
from support.sshd import SshServer
cluster = SlurmCluster()
with cluster, SshServer(cluster.variables) as sshd:
    cluster.run("sbatch", "--wrap=sleep 1000")
    print(cluster.folder, sshd.folder, flush=True)
    os.kill(os.getpid(), signal.{signal})
"""


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT"])
def test_nothing_left(name):
    """No process and no file is left of a cluster whose test was killed or interrupted."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED.format(signal=name)],
        cwd=TESTS,
        capture_output=True,
        text=True,
        check=False,
    )
    folders = result.stdout.split()
    assert len(folders) == 2, result.stderr
    wait_until(lambda: not any(Path(folder).exists() for folder in folders), "folders are gone")
    assert not [path for path in Path("/proc").glob("[0-9]*") if names(path, folders)]


def names(process, folders):
    """Return whether a process's arguments or environment name one of the folders."""
    try:
        text = b"".join((process / part).read_bytes() for part in ("cmdline", "environ"))
    except OSError:
        return False
    return any(folder.encode() in text for folder in folders)


def test_forked_commands_are_commands(forks, tmp_path):
    """A fork has its arguments, folder, environment and exit code, and ends by a signal."""
    (tmp_path / "test_it.py").write_text(
        "import os, subprocess, sys, time\n\n\n"
        "def test_it():\n    print(sys.argv[1:], os.getcwd(), os.environ['NAME'])\n"
        "    subprocess.run(['cat'], check=True)\n    assert 0\n\n\n"
        "def test_long():\n    print('begun', flush=True)\n    time.sleep(600)\n"
    )
    variables = {"NAME": "a value", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    short = forks.pytest(["test_it.py", "-k", "it and not long"], tmp_path, variables)
    text, _ = short.communicate(60)
    assert short.wait() == short.poll() == 1
    assert f"['test_it.py', '-k', 'it and not long'] {tmp_path} a value" in text
    for number in (signal.SIGINT, signal.SIGKILL):
        long = forks.pytest(["test_it.py", "-s", "-k", "long"], tmp_path, variables)
        assert any("begun" in line for line in iter(long.stdout.readline, ""))
        with pytest.raises(subprocess.TimeoutExpired):
            long.communicate(0.1)
        assert long.poll() is None
        long.send_signal(number)
        text, _ = long.communicate(60)
        assert ("KeyboardInterrupt" in text) == (number == signal.SIGINT)
        assert long.returncode == (2 if number == signal.SIGINT else -number)
        long.kill()  # nothing, as it has ended
