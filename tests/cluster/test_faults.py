"""The proxy and the shims: each fault does to a real sbatch and a real connection what it says."""

import socket
import threading
import time

import pytest
from support import shims as faults
from support.daemons import wait_until
from support.proxy import Proxy
from support.rejections import DOUBTFUL, LIMIT, PERMANENT


@pytest.fixture
def echo():
    """Give the port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


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
    """A latency of 100 ms each way makes a round trip of 200 ms, for many small sends at once too."""
    with Proxy(echo, latency=100) as proxy, connect(proxy) as link:
        start = time.monotonic()
        for _ in range(10):
            link.sendall(b"x")
        received = b""
        while len(received) < 10:
            received += link.recv(10)
        assert 0.2 <= time.monotonic() - start < 0.4
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
    from fabric import Connection

    with Proxy(sshd.port) as proxy:
        host = sshd.client(home, proxy.port)
        with Connection(host) as connection:
            assert connection.run("echo here", hide=True, in_stream=False).stdout == "here\n"
        assert proxy.connections == 1


@pytest.fixture
def sbatch(site, project):
    """Give a function that calls sbatch as the agent does, through a shell that the shim may kill."""
    import subprocess

    path = f"{site.shims.folder}:{site.cluster.environment['PATH']}"

    def call(timeout=20):
        return subprocess.run(
            ["sh", "-c", "sbatch --parsable --hold run.sbatch; exit $?"],
            cwd=project.clone,
            env=site.cluster.environment | {"PATH": path},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return call


@pytest.mark.parametrize(
    ("fault", "exit_code", "submitted"),
    [
        (faults.TIMES_OUT, 1, 0),
        (faults.ACCEPTS_THEN_TIMES_OUT, 1, 1),
        (faults.KILLS_PARENT, -9, 1),
        (faults.ANSWERS_THEN_KILLS_PARENT, -9, 1),
        (faults.CHATTERS, 0, 1),
        (faults.NAMES_CLUSTER, 0, 1),
    ],
)
def test_shim(sbatch, cluster, shims, project, fault, exit_code, submitted):
    """Each fault ends as it says, with or without a job in Slurm, and is counted."""
    shims.put(fault)
    assert sbatch().returncode == exit_code
    assert len(of(cluster, project)) == submitted
    (call,) = shims.calls()
    assert (call.folder, call.arguments) == (project.clone, "--parsable --hold run.sbatch")


def of(cluster, project):
    """List the jobs of the project's clone."""
    return [job for job in cluster.jobs() if job.work_dir == project.clone]


def test_shim_late(sbatch, cluster, shims, project):
    """A late acceptance makes the job after the call has failed."""
    shims.put(faults.accepts_late(0.5))
    assert "timed out" in sbatch().stderr
    assert of(cluster, project) == []
    wait_until(lambda: of(cluster, project), "the late job is there", seconds=5)


@pytest.mark.parametrize(
    ("fault", "submitted"), [(faults.HANGS, 0), (faults.ACCEPTS_THEN_HANGS, 1)]
)
def test_shim_hangs(sbatch, cluster, shims, project, fault, submitted):
    """A call that hangs does so with or without a job in Slurm."""
    import subprocess

    shims.put(fault)
    with pytest.raises(subprocess.TimeoutExpired):
        sbatch(timeout=1)
    assert len(of(cluster, project)) == submitted


@pytest.mark.parametrize("words", [*PERMANENT, *LIMIT, *DOUBTFUL])
def test_shim_rejects(sbatch, shims, words):
    """A rejection says Slurm's words on stderr, once; the next call is the real one."""
    shims.put(faults.rejects(words), times=1)
    refused = sbatch()
    assert refused.returncode == 1
    assert refused.stderr.replace("sbatch: error: ", "").strip() == words
    assert sbatch().returncode == 0
    assert len(shims.calls()) == 2
