"""Outputs that are many, large, or change while they are fetched."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

FILES = int(os.environ.get("REMEX_MANY_FILES", "100000"))


def test_many_small_outputs(user, cluster, record_property):
    """A run with 100,000 small outputs is fetched whole, and a second collect moves nothing."""
    user.script(f"mkdir -p many; cd many; seq -f %06g {FILES} | split -l 1 -a 6 -d - part.; cd ..")
    user.sweep(1.0)
    user.edit('["LOGS/history.data"', '["LOGS/history.data", "many/*"')
    user.submit()
    cluster.wait(seconds=600)
    begun = time.monotonic()
    user.pytest("--remex-collect", seconds=900).succeeded()
    record_property("seconds", round(time.monotonic() - begun))
    (there,) = user.project.run_directories()
    here = user.output / "runs" / there.name / "many"
    assert sum(1 for _ in here.iterdir()) == FILES
    last = f"part.{FILES - 1:06d}"
    assert (here / last).read_bytes() == (there / "many" / last).read_bytes()
    before = (here / last).stat()
    user.pytest("--remex-collect", seconds=900).succeeded()
    assert (here / last).stat() == before


@pytest.fixture
def changing(user):
    """Return a function that changes the outputs there over and over during a block."""

    def change(stop, action):
        number = 0
        while not stop.is_set():
            for directory in user.project.run_directories():
                action(directory, number)
            number += 1

    def changing(action):
        stop = threading.Event()
        thread = threading.Thread(target=change, args=(stop, action), daemon=True)
        thread.start()

        def end():
            stop.set()
            thread.join(timeout=10)

        return end

    return changing


def grow(directory, _number):
    """Let an output grow."""
    with (directory / "LOGS" / "large.data").open("ab") as file:
        file.write(b"x" * 4096)
    time.sleep(0.002)


def vanish(directory, number):
    """Remove an output, or bring it back."""
    path = directory / "LOGS" / "large.data"
    if number % 2:
        path.write_bytes(b"y" * 3_000_000)
    else:
        path.unlink(missing_ok=True)
    time.sleep(0.05)


def shrink(directory, number):
    """Replace an output by a shorter one of the same second."""
    (directory / "LOGS" / "large.data").write_bytes(b"z" * (3_000_000 - number % 1000))


@pytest.mark.parametrize("action", [grow, vanish, shrink], ids=lambda action: action.__name__)
def test_outputs_that_change(user, cluster, changing, action):
    """Outputs that change while they are fetched are no fault; the next collect fetches again."""
    user.script("mkdir -p LOGS; head -c 3000000 /dev/urandom >LOGS/large.data")
    user.edit('["LOGS/history.data"', '["LOGS/history.data", optional("LOGS/large.data")')
    user.edit("import sweep", "import optional, sweep")
    user.submit()
    cluster.wait()
    end = changing(action)
    try:
        for _ in range(3):
            user.pytest("--remex-collect").succeeded()
    finally:
        end()
    open_runs = [each for each in user.project.run_directories() if not complete(user, each)]
    for directory in open_runs:
        (directory / "LOGS" / "large.data").write_bytes(os.urandom(1_000_000))
    user.pytest("--remex-collect").succeeded()
    for directory in open_runs:
        fetched = user.output / "runs" / directory.name / "LOGS" / "large.data"
        assert fetched.read_bytes() == (directory / "LOGS" / "large.data").read_bytes()
    assert not list(user.output.rglob("*.remex-part*"))


def complete(user, directory):
    """Return whether two listings after the job's end were the same: then none is made again."""
    note = user.output / "runs" / directory.name / ".remex" / "outputs.json"
    return json.loads(note.read_text())["complete"]
