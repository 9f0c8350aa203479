"""The proxy and the shims: each fault does to a real sbatch and a real connection what it says."""

import socket
import subprocess
import threading
import time
from dataclasses import dataclass

import pytest
from fabric import Connection
from support import shims as faults
from support.daemons import wait_until
from support.projects import Project
from support.proxy import Proxy
from support.rejections import DOUBTFUL, LIMIT, PERMANENT
from support.sites import Site


@pytest.fixture
def echo():
    """Return the port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def serve(server):
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            try:
                while data := connection.recv(65536):
                    connection.sendall(data)
            except OSError:
                continue


def connect(proxy):
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=5)


def test_proxy_delays(echo):
    """A latency of 500 ms each way makes a round trip of 1 s, also for many at once."""
    with Proxy(echo, latency=500) as proxy, connect(proxy) as link:
        start = time.monotonic()
        for _ in range(10):
            link.sendall(b"x")
        received = b""
        while len(received) < 10:
            received += link.recv(10)
        assert 1 <= time.monotonic() - start < 2  # one after another they would take 5 s
        assert (proxy.connections, proxy.forwarded) == (1, {"up": 10, "down": 10})


@pytest.mark.parametrize("direction", ["up", "down"])
def test_proxy_cuts(echo, direction):
    """After the number of bytes the connection is reset; the next one is served."""
    with Proxy(echo) as proxy:
        proxy.cut_after(1000, direction)
        with connect(proxy) as link:
            with pytest.raises(OSError, match=r"reset|Broken pipe"):
                exchange(link, b"x" * 5000)
            assert proxy.forwarded[direction] == 1000
        with connect(proxy) as link:
            assert exchange(link, b"again") == b"again"


def exchange(link, data):
    link.sendall(data)
    received = b""
    while len(received) < len(data):
        part = link.recv(65536)
        if not part:
            raise ConnectionResetError("reset")
        received += part
    return received


def test_proxy_freezes(echo):
    """A frozen link is open and silent; after the thaw what was sent arrives."""
    with Proxy(echo) as proxy, connect(proxy) as link:
        proxy.freeze()
        link.settimeout(0.3)
        with pytest.raises(TimeoutError):
            exchange(link, b"hello")
        proxy.thaw()
        assert link.recv(5) == b"hello"


def test_ssh_through_proxy(home, sshd):
    """Ssh works through the proxy with the host key checked under the proxy's port."""
    with Proxy(sshd.port) as proxy, Connection(sshd.client(home, proxy.port)) as connection:
        assert connection.run("echo here", hide=True, in_stream=False).stdout == "here\n"
        assert proxy.connections == 1


@dataclass
class Sbatch:
    """Calls the sbatch that comes first on PATH as a program does that the shim may kill."""

    site: Site
    project: Project

    def __call__(self, timeout=20):
        environment = self.site.cluster.environment
        return subprocess.run(
            ["sh", "-c", "sbatch --parsable --hold run.sbatch; exit $?"],
            cwd=self.project.clone,
            env=environment | {"PATH": f"{self.site.shims.folder}:{environment['PATH']}"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def jobs(self):
        jobs = self.site.cluster.jobs()
        return [job.id for job in jobs if job.work_dir == self.project.clone]


@pytest.fixture
def sbatch(site, project):
    return Sbatch(site, project)


SHIMS = {
    "times out": (faults.TIMES_OUT, 1, 0),
    "accepts, times out": (faults.ACCEPTS_THEN_TIMES_OUT, 1, 1),
    "kills parent": (faults.KILLS_PARENT, -9, 1),
    "answers, kills parent": (faults.ANSWERS_THEN_KILLS_PARENT, -9, 1),
    "chatters": (faults.CHATTERS, 0, 1),
    "names cluster": (faults.NAMES_CLUSTER, 0, 1),
}


@pytest.mark.parametrize("name", SHIMS)
def test_shim(sbatch, shims, name):
    """Each fault ends as it says, with or without a job in Slurm, and is counted."""
    fault, exit_code, submitted = SHIMS[name]
    shims.put(fault)
    assert sbatch().returncode == exit_code
    assert len(sbatch.jobs()) == submitted
    (call,) = shims.calls()
    assert call.folder == sbatch.project.clone
    assert call.arguments == "--parsable --hold run.sbatch"


def test_shim_late(sbatch, shims):
    """A late acceptance makes the job after the call has failed."""
    shims.put(faults.accepts_late(0.5))
    assert "timed out" in sbatch().stderr
    assert sbatch.jobs() == []
    wait_until(sbatch.jobs, "the late job is there", seconds=5)


@pytest.mark.parametrize(
    ("fault", "submitted"), [(faults.HANGS, 0), (faults.ACCEPTS_THEN_HANGS, 1)], ids=["no", "yes"]
)
def test_shim_hangs(sbatch, shims, fault, submitted):
    """A call that hangs does so with or without a job in Slurm."""
    shims.put(fault)
    with pytest.raises(subprocess.TimeoutExpired):
        sbatch(timeout=1)
    assert len(sbatch.jobs()) == submitted


@pytest.mark.parametrize("words", [*PERMANENT, *LIMIT, *DOUBTFUL])
def test_shim_rejects(sbatch, shims, words):
    """A rejection says Slurm's words on stderr, once; the next call is the real one."""
    shims.put(faults.rejects(words), times=1)
    refused = sbatch()
    assert refused.returncode == 1
    assert refused.stderr.replace("sbatch: error: ", "").strip() == words
    assert sbatch().returncode == 0
    assert len(shims.calls()) == 2
