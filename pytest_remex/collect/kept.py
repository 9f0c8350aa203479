"""Verdicts that are kept: what a check was made of is noted, and while that is the same it holds.

A passed check is noted in the run's folder with what it recorded and what it was made of: the
outputs, the run, the code that was loaded and is no package's, the files that it opened, and the
packages. A check that started a program or a connection, or whose code was changed while it ran, is
not kept. What no one can see from outside, the clock and the environment, is left to the user:
`--remex-fresh` judges all.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pytest_remex.collect.manifest import read_note
from pytest_remex.common.typed_json import from_json
from pytest_remex.io import replace_file
from pytest_remex.names import text_digest

if TYPE_CHECKING:
    from pytest_remex.collect.judge import JudgedRun
    from pytest_remex.experiment import Experiment

FileState: TypeAlias = "list[int] | None"
"""Size and modification time (ns) of a file or folder; None if it does not exist."""

KEPT_NOTE = ".remex/kept.json"
VERSION = 1
_OURS = str(Path(__file__).parents[1])
_NO_FILES = ("/dev/", "/proc/", "/sys/")
_IN_MEMORY = "/dev/shm/"  # noqa: S108 - files like others, of which a repository may be one
_OPENED = frozenset({"open", "os.listdir", "os.scandir"})
_DOUBTS = (
    "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "socket.connect",
    "socket.getaddrinfo", "socket.sendto", "sqlite3.connect", "subprocess.Popen", "urllib.Request",
)  # fmt: skip
"""Audit events of what depends on more than files."""
_O_PATH = getattr(os, "O_PATH", 0)
"""The flag of a descriptor through which nothing can be read; not every system has it."""


class KeptVerdict(NamedTuple):
    """A passed check: what it recorded, and what it was made of.

    `made_of` is a digest of the run, its outputs and the packages; `code` are digests of the files
    of the code that was loaded, `opened` the states of the other files that were opened.
    """

    made_of: str
    code: dict[str, str]
    opened: dict[str, Any]
    """By path the `FileState`."""
    measures: dict[str, Any]
    curves: dict[str, str]


class Watch:
    """Notes which files are opened while it is on, and whether there is a doubt."""

    def __init__(self, *, doubtful: bool = False) -> None:
        self.doubtful = doubtful
        self.opened: set[str] = set()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Note what happens within."""
        watches = _watches()
        watches.append(self)
        try:
            yield
        finally:
            watches.remove(self)

    @contextmanager
    def off(self) -> Iterator[None]:
        """Note nothing within: this package itself reads and writes there."""
        watches = _watches()
        before = list(watches)
        watches.clear()
        try:
            yield
        finally:
            watches.extend(before)

    def note(self, event: str, path: object) -> None:
        """Take in an event of Python's audit."""
        if event in _OPENED:
            if isinstance(path, str | bytes | os.PathLike):
                opened = os.path.join(os.getcwd(), os.fsdecode(path))  # noqa: PTH109, PTH118 - see below
                self.opened.add(opened.rstrip("/") or "/")  # `glob` lists folders as "name/"
            elif not isinstance(path, int):
                self.opened.add(os.getcwd())  # noqa: PTH109 - here as for each file: Path takes too long
        elif event.startswith(_DOUBTS):
            self.doubtful = True


@functools.cache
def _watches() -> list[Watch]:
    """Return the watches that are on; Python takes an audit hook once, and never lets it go."""
    watches: list[Watch] = []

    def audit(event: str, arguments: tuple[object, ...]) -> None:
        if watches and not (_is_import(event) or _reads_nothing(event, arguments)):
            for each in tuple(watches):
                try:
                    each.note(event, arguments[0] if arguments else None)
                except Exception:  # noqa: BLE001 - it would end what is only watched
                    each.doubtful = True

    sys.addaudithook(audit)
    return watches


def _is_import(event: str) -> bool:
    """Return whether a folder is listed to find a module, whose code counts by itself."""
    if event != "os.listdir":
        return False
    caller = sys._getframe(2).f_code  # noqa: SLF001 - of the audit hook
    return caller.co_filename == "<frozen importlib._bootstrap_external>"


def _reads_nothing(event: str, arguments: tuple[object, ...]) -> bool:
    """Return whether a path is opened only to be able to return to it, as `working_in` does."""
    flags = arguments[2:3] if event == "open" else ()
    return any(isinstance(each, int) and each & _O_PATH for each in flags)


class VerdictKeeper:
    """Keeps verdicts, and decides which of them still hold.

    Args:
        settings: What else decides: texts, such as the ini file's.
        started_by: Files of the code of the process that started this one.

    """

    def __init__(self, settings: Iterable[str], started_by: Iterable[str] = ()) -> None:
        self._started_by = tuple(started_by)
        self._begun = time.time_ns()
        # a digest, as it is part of the facts of each run
        self._settings = _digest_of(
            [str(VERSION), sys.version, *settings, *_packages(), *_own_files()]
        )
        self._digests: dict[str, str] = {}
        self._code: dict[str, str] = {}
        self._modules = 0
        self._real_path = functools.cache(os.path.realpath)

    def confirms(self, kept: KeptVerdict, judged: JudgedRun, experiment: Experiment) -> bool:
        """Return whether the stored verdict on a run still holds."""
        return (
            kept.made_of == self._made_of(judged, experiment)
            and all(self._digest(path) == digest for path, digest in kept.code.items())
            # not if there is now a conftest.py that was not there
            and self._loaded_code().keys() <= kept.code.keys()
            and all(_state(path) == state for path, state in kept.opened.items())
        )

    def keep(self, judged: JudgedRun, experiment: Experiment, watch: Watch) -> None:
        """Store the verdict on a run whose check passed, unless its inputs are doubtful.

        The path of the experiment is the checkout that was patched, which does not count.

        Raises `RecordError` if it cannot be written.
        """
        folder = judged.collected.folder
        code = self._loaded_code()
        if watch.doubtful or any(self._is_new(path) for path in code):
            self.drop(folder)
            return
        excluded = (*code, str(experiment.path), self._real_path(str(experiment.path)))
        opened = [
            path for path in watch.opened if not (is_installed(path) or _is_in(path, excluded))
        ]
        opened = [path for path in opened if not _is_in(path, [str(folder / ".remex")])]
        if judged.curves:
            opened += map(str, folder.glob(".remex/curves/*"))
        note = KeptVerdict(
            self._made_of(judged, experiment),
            code,
            {path: _state(path) for path in sorted(opened)},
            dict(judged.measures),
            dict(judged.curves),
        )
        replace_file(folder / KEPT_NOTE, json.dumps(note._asdict()), errors="surrogateescape")

    @staticmethod
    def drop(folder: Path) -> None:
        """Keep the verdict on a run no longer."""
        with suppress(FileNotFoundError):
            (folder / KEPT_NOTE).unlink()

    def _made_of(self, judged: JudgedRun, experiment: Experiment) -> str:
        collected, run = judged.collected, judged.collected.run
        folder = collected.folder
        facts = [
            self._settings,
            judged.node,
            repr(judged.parameters),
            repr((experiment.id, experiment.point, experiment.asked, experiment.recipe)),
            repr((collected.sweep.fetch, collected.sweep.config_files, collected.logs)),
            (run.commit.sha, run.commit.base, run.recipe, run.directory),
            repr(collected.job),
            collected.outputs._asdict(),
            {name: _state(f"{folder}/{name}") for name in collected.outputs.files},
        ]
        return _digest_of(facts)

    def _loaded_code(self) -> dict[str, str]:
        """Return the digests of the files of the modules that no package has brought."""
        if len(sys.modules) != self._modules:
            self._modules = len(sys.modules)
            files = {getattr(each, "__file__", None) for each in list(sys.modules.values())}
            files.update(self._started_by)
            self._code = {
                path: self._digest(path)
                for path in sorted(each for each in files if isinstance(each, str))
                if not is_installed(path)
            }
        return self._code

    def _is_new(self, path: str) -> bool:
        """Return whether a file was written after the code may have been loaded from it."""
        state = _state(path)
        return state is None or state[1] > self._begun

    def _digest(self, path: str) -> str:
        if path not in self._digests:
            try:
                content = Path(path).read_bytes()
            except OSError:
                content = b""
            self._digests[path] = hashlib.sha256(content).hexdigest()
        return self._digests[path]


def has_kept(runs: Path) -> bool:
    """Return whether a verdict is kept in the folder of outputs, though it may not hold."""
    return next(runs.glob(f"*/{KEPT_NOTE}"), None) is not None


def read_kept(folder: Path) -> KeptVerdict | None:
    """Return the verdict that is stored in the folder of a run's outputs; it may not hold."""
    try:
        return from_json(KeptVerdict, read_note(folder / KEPT_NOTE))
    except ValueError:
        return None


def _digest_of(facts: object) -> str:
    return text_digest(json.dumps(facts, sort_keys=True, default=str))


def _state(path: str) -> FileState:
    try:
        status = os.stat(path)  # noqa: PTH116 - for each file of each run
    except (OSError, ValueError):
        return None
    return [status.st_size, status.st_mtime_ns]


@functools.cache
def _installed_folders() -> tuple[str, ...]:
    """Return the folders of Python's own modules and of installed packages."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    known = {sysconfig.get_path(name) for name in names}
    known |= {path for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    real = {os.path.realpath(path) for path in known}
    return tuple(path.rstrip(os.sep) + os.sep for path in sorted(known | real))


def _is_in(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(place + os.sep) for place in places)


def is_installed(path: str) -> bool:
    """Return whether a file is of Python, of an installed package or of this one."""
    is_no_file = path.startswith(_NO_FILES) and not path.startswith(_IN_MEMORY)
    return is_no_file or path.startswith((*_installed_folders(), _OURS + os.sep))


def _own_files() -> list[str]:
    """Return the states of this package's own files, which may be a checkout's."""
    return [f"{path} {_state(str(path))}" for path in sorted(Path(_OURS).rglob("*.py"))]


def _packages() -> list[str]:
    """Return the names, with versions, of what is installed."""
    found: list[str] = []
    for folder in _installed_folders():
        with suppress(OSError):
            names = [path.name for path in Path(folder).iterdir()]
            found += (name for name in names if name.endswith((".dist-info", ".egg-info")))
    return sorted(found)
