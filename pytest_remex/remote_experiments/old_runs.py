"""Read the files of RemoteExperiments: run directories, downloaded files, pickled sweeps.

A folder of downloads has files `<run directory>_<file>`; a sweep is a dictionary in a pickle, of
which only plain data is read: nothing in it is looked up or called.
"""

from __future__ import annotations

import io
import os
import pickle
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_remex import names
from pytest_remex.common.files import read_up_to
from pytest_remex.common.paths import REMEX
from pytest_remex.config.settings import leaves
from pytest_remex.errors import RecordError, RemexError
from pytest_remex.model import SCRIPT, Scalar, Sweep
from pytest_remex.sbatch.script import Header, header_of_any
from pytest_remex.sweep import expand, sweep, sweep_of

if TYPE_CHECKING:
    import pluggy

    from pytest_remex.model import Config
    from pytest_remex.repo.git import Git

_RUN = re.compile(
    r"(?P<label>.+)_time_(?P<time>\d{4}(?:_\d\d){5})_sha_(?P<sha>[0-9a-f]{4,40})(?:_(?P<file>.+))?",
    re.DOTALL,
)
_PICKLE = re.compile(r".*_(\d{4}(?:_\d\d){5})\.pkl", re.DOTALL)
_LOG = re.compile(r"slurm-(\d+)\.out")
_LARGEST = 1 << 26
"""The largest file, in bytes, that is read."""
_DEEPEST = 50
_PLAIN = (str, int, float, bool, type(None))


@dataclass(slots=True)
class OldRun:
    """A run directory, or what was downloaded of one: its outputs by their names in it."""

    directory: str
    label: str
    when: datetime
    sha: str
    files: dict[str, Path] = field(default_factory=dict)
    script: str = ""

    @property
    def header(self) -> Header:
        """The header of its script, if that exists."""
        return header_of_any(self.script)

    @property
    def job(self) -> str:
        """The job's id, if the name of Slurm's output has it."""
        found = {said[1] for name in self.files if (said := _LOG.fullmatch(name))}
        return found.pop() if len(found) == 1 else ""


@dataclass(frozen=True, slots=True)
class OldSweep:
    """A sweep and its runs, each with its point; `base` is how its base commit begins."""

    sweep: Sweep
    when: datetime
    base: str
    runs: Sequence[tuple[Config, OldRun]]


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What to import of runs: patterns of outputs, and the config file to read back."""

    fetch: tuple[str, ...]
    config_file: str | None

    @property
    def patterns(self) -> tuple[str, ...]:
        """All that is taken of a run directory, Slurm's own output too."""
        own = (self.config_file,) if self.config_file else ()
        return tuple(dict.fromkeys((*self.fetch, *own, "slurm-*.out")))


def read_runs(folder: Path, options: ImportOptions) -> dict[str, OldRun]:
    """Return the runs in a folder by the names of their directories.

    Raises:
        RecordError: The folder cannot be read.

    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise RecordError(f"{folder} cannot be read ({error.strerror}): name a folder") from None
    found: dict[str, OldRun] = {}
    for entry in entries:
        if (parts := _RUN.fullmatch(entry.name)) is None:
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        if is_folder == bool(parts["file"]) or Path(entry.path, REMEX).exists():
            continue
        directory = entry.name.removesuffix(f"_{parts['file']}")
        with suppress(ValueError):  # a 13th month: no time
            when = datetime.strptime(parts["time"], names.STAMP)  # noqa: DTZ007 - local, as it was
            run = OldRun(directory, parts["label"], when, parts["sha"])
            run = found.setdefault(directory, run)
            if is_folder:
                _add_outputs(run, Path(entry.path), options)
            elif entry.is_file(follow_symlinks=False) and parts["file"] not in {".", "..", REMEX}:
                run.files[_full_name(parts["file"], options)] = Path(entry.path)
    return found


def _add_outputs(run: OldRun, folder: Path, options: ImportOptions) -> None:
    """Add the wanted files of a run directory; links are left there."""
    real = folder.resolve()
    for path in (path for pattern in options.patterns for path in folder.glob(pattern)):
        name = path.relative_to(folder)
        if path.is_file() and path.resolve() == real / name:
            run.files[name.as_posix()] = path
    with suppress(OSError, UnicodeError):
        run.script = (folder / SCRIPT).read_text("utf-8")


def _full_name(name: str, options: ImportOptions) -> str:
    """Return the name in the run directory of a file that was downloaded without its folder."""
    return next((each for each in options.patterns if PurePosixPath(each).name == name), name)


def pickled_sweeps(
    paths: Iterable[Path], runs: Mapping[str, OldRun], options: ImportOptions
) -> Iterator[OldSweep]:
    """Yield the pickled sweeps with those of their runs that are here.

    Raises:
        RecordError: A file is not a pickled sweep.
        SweepError: Its dimensions are refused, as by `@sweep`.

    """
    for path in paths:
        facts, said = _load_plain(path), _PICKLE.fullmatch(path.name)
        if not isinstance(facts, dict) or not {"name", "branch", "dimensions"} <= facts.keys():
            raise RecordError(f"{path} is not a sweep: it has no name, branch and dimensions")
        made = _sweep_of(facts, options)
        shas = [str(sha) for sha in facts.get("run_shas", ())]
        when = datetime.strptime(said[1], names.STAMP) if said else None  # noqa: DTZ007 - as above
        label = f"{facts['branch']}_{facts['name']}"
        points = zip(expand(made), shas, strict=False)  # the runs are in the grid's order
        found = [(point, _run_of(label, sha, when, runs)) for point, sha in points]
        here = [(point, run) for point, run in found if run is not None]
        if absent := len(found) - len(here):
            warnings.warn(f"{path}: {absent} of its {len(found)} runs are not here", stacklevel=3)
        if here:
            first = min(run.when for _, run in here)
            yield OldSweep(made, when or first, str(facts.get("parent_sha", "")), here)


def _sweep_of(facts: Mapping[str, Any], options: ImportOptions) -> Sweep:
    """Return a sweep as the decorator makes it. Raises `SweepError` for one that it refuses."""

    def function() -> None: ...

    function.__name__ = str(facts["name"])
    decorated = sweep(
        facts["dimensions"],
        base_config=facts.get("base_config") or {},
        branch=facts["branch"] or None,
        name=str(facts["name"]),
        fetch=options.fetch,
        config_file=options.config_file,
    )(function)
    made = sweep_of(decorated)
    if made is None:  # the decorator always leaves one
        raise RemexError(f"no sweep could be made of {facts['name']}")
    return made


def _run_of(
    label: str, sha: str, when: datetime | None, runs: Mapping[str, OldRun]
) -> OldRun | None:
    """Return the newest run with a commit's short id that was there when its sweep was saved."""
    fitting = [
        run
        for run in runs.values()
        if (run.label, run.sha) == (label, sha) and (when is None or run.when <= when)
    ]
    return max(fitting, key=lambda run: run.when, default=None)


def sweeps_by_name(
    runs: Sequence[OldRun], git: Git, options: ImportOptions, hook: pluggy.HookRelay
) -> Iterator[OldSweep]:
    """Yield sweeps of runs without a pickle, from the names of their directories.

    Their points are the settings in which their config files differ.
    """
    branches = git.run("for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    labels = sorted({run.label for run in runs})
    for label in labels:
        group = [run for run in runs if run.label == label]
        known = [each for each in branches if label.startswith(f"{each}_")]
        branch = max(known, key=len, default="")
        name = label.removeprefix(f"{branch}_") if branch else label
        points = _differing_settings(group, options, hook)
        facts: dict[str, Any] = {"name": name, "branch": branch, "dimensions": {}}
        if names_ := tuple(points[0]):
            facts["dimensions"] = {names_: [tuple(point.values()) for point in points]}
        made = _sweep_of(facts, options)
        first = min(run.when for run in group)
        yield OldSweep(made, first, "", list(zip(expand(made), group, strict=True)))


def _differing_settings(
    runs: Sequence[OldRun], options: ImportOptions, hook: pluggy.HookRelay
) -> list[dict[str, Any]]:
    """Return each run's settings that differ between runs; its directory if these do not."""
    found = [_settings(run, options.config_file, hook) for run in runs]
    names_ = [
        name
        for name in dict.fromkeys(name for settings in found for name in settings)
        if len({repr(settings.get(name)) for settings in found}) > 1
    ]
    points = [{name: settings.get(name) for name in names_} for settings in found]
    if len({repr(point) for point in points}) < len(runs):
        return [{"run": run.directory} for run in runs]
    return points


def _settings(run: OldRun, config_file: str | None, hook: pluggy.HookRelay) -> dict[str, Scalar]:
    path = run.files.get(config_file or "")
    if path is None:
        return {}
    with suppress(RemexError):
        return settings_in(hook.pytest_remex_config(path=path.parent, config_file=path.name))
    return {}


def settings_in(config: Mapping[Any, Any] | None) -> dict[str, Scalar]:
    """Return the single values of a config by name, without the names of groups."""
    found = leaves(config or {})
    return {str(at[-1]): one for at, one in found if isinstance(one, str | int | float | None)}


class _PlainUnpickler(pickle.Unpickler):
    """An unpickler that makes dicts, lists, tuples, texts, numbers and None, and nothing else."""

    def find_class(self, module: str, name: str) -> NoReturn:
        """Refuse a class or function, which unpickling would call."""
        raise pickle.UnpicklingError(f"it contains {module}.{name}")

    def persistent_load(self, pid: object) -> NoReturn:
        """Refuse a reference to an object outside of the file."""
        raise pickle.UnpicklingError(f"it refers to an object outside of it, {pid!r:.40}")


def _load_plain(path: Path) -> object:
    """Return the dicts, lists, tuples, texts, numbers and None in a pickle.

    Raises:
        RecordError: The file cannot be read, or contains anything else; the message names that.

    """
    try:
        with path.open("rb") as file:
            data = read_up_to(file, _LARGEST + 1)
        found: object = _PlainUnpickler(io.BytesIO(data[:_LARGEST]), encoding="utf-8").load()
        _check_plain(found, set(), 0)
    except Exception as error:  # noqa: BLE001 - damaged pickles raise all kinds of errors
        why = str(error) or type(error).__name__
        raise RecordError(
            f"{path} is not read: {why}; only dicts, lists, tuples, texts, numbers and None are: "
            f"write the sweep with plain Python values, such as float(x), and pickle it again"
        ) from None
    return found


def _check_plain(value: object, seen: set[int], depth: int) -> None:
    """Refuse data that is not plain, or contains itself; each object is checked once."""
    if isinstance(value, _PLAIN):
        return
    if not isinstance(value, dict | list | tuple):
        raise ValueError(f"it contains a {type(value).__name__}")  # noqa: TRY004 - bad data
    if depth > _DEEPEST:
        raise ValueError(f"it is nested more than {_DEEPEST} deep")
    if id(value) in seen:
        return
    seen.add(id(value))
    for each in (*value.keys(), *value.values()) if isinstance(value, dict) else value:
        _check_plain(each, seen, depth + 1)
