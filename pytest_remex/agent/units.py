"""Decide which sbatch submits a run's job: alone, in a job array, or in a pack.

Two clients may group the same runs differently. So, before any attempt, a note in the run directory
says which unit the job belongs to. The first client creates it, once; later clients continue with
that unit, whatever they were asked for. A group's tasks are only the members whose notes name it.
"""

import os
import shutil
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from pytest_remex.agent import fs
from pytest_remex.agent.attempts import Attempts
from pytest_remex.agent.errors import AgentError, UnreadableError
from pytest_remex.agent.fs import RunFiles
from pytest_remex.agent.submissions import LocatedSubmission, located
from pytest_remex.common import parts, paths
from pytest_remex.common.paths import RunNote
from pytest_remex.common.protocol import InDoubt
from pytest_remex.common.typed_json import dumps

Scripts = Callable[[LocatedSubmission], Dict[str, str]]
LARGEST_LIST = 1 << 26
"""The most bytes of the list of runs in a group."""
ALONE = "alone"
"""The content of the note for a job that belongs to no group."""


class Units(NamedTuple):
    """The submissions to make, each unit once; and the runs that cannot be submitted, and why."""

    submissions: List[LocatedSubmission]
    faults: List[InDoubt]


def units_of(asked: Iterable[LocatedSubmission], scripts: Scripts) -> Units:
    """Return the units that submit the requested runs.

    Returns:
        The units. `asked` of each maps the keys of requested submissions to their runs in this
        unit.

    """
    units: Dict[str, LocatedSubmission] = {}
    faults: List[InDoubt] = []
    for submission in asked:
        if submission.grouped:
            _make_group(submission, scripts)
        for name, directories in _by_unit(submission):
            try:
                unit = _unit(name, directories, submission)
            except UnreadableError as error:
                faults.append(InDoubt(submission.key, str(error), directories))
                continue
            others = dict(units[unit.folder].asked) if unit.folder in units else {}
            units[unit.folder] = unit._replace(asked={**others, submission.key: directories})
    return Units(list(units.values()), faults)


def _by_unit(submission: LocatedSubmission) -> Iterator[Tuple[str, List[str]]]:
    """Yield the units that a submission's runs belong to, each with its runs."""
    mine = _name(submission)
    found: Dict[str, List[str]] = {}
    for directory in submission.directories:
        name = _decide(os.path.join(submission.runs, directory), submission.job_number, mine)
        if name == ALONE != mine:
            yield ALONE, [directory]
        else:
            found.setdefault(name, []).append(directory)
    yield from found.items()


def _name(submission: LocatedSubmission) -> str:
    return os.path.basename(submission.folder) if submission.grouped else ALONE


def _decide(run: str, job_number: int, mine: str) -> str:
    """Return the unit of a run's job; `mine` if none was recorded before."""
    try:
        if mine != ALONE and Attempts(paths.remex(run), job_number).read():
            return ALONE
        noted = RunFiles(run).create(paths.unit(job_number), mine + "\n")
    except UnreadableError:
        return mine  # the error is reported when it is submitted
    return mine if noted is None else noted.strip()


def _unit(name: str, directories: List[str], asked: LocatedSubmission) -> LocatedSubmission:
    """Return the unit of that name. Raises `UnreadableError` if it cannot be determined."""
    if name == _name(asked):
        return _restricted(asked, directories)
    if name == ALONE:
        return _alone(directories[0], asked)
    folder = os.path.join(paths.groups(asked.runs), name)
    path = os.path.join(folder, paths.SUBMISSION)
    kept = fs.parse(parts.WantedSubmission, path, _own_file(path))
    if kept is None or os.path.basename(name) != name:
        raise UnreadableError(path, "it does not exist, but runs say that it submits them")
    group = located(kept, asked.runs, "")._replace(folder=folder, notes=paths.remex(folder))
    return _restricted(group, dict(_by_unit(group)).get(name, []))


def _restricted(submission: LocatedSubmission, directories: List[str]) -> LocatedSubmission:
    own = set(directories)
    tasks = [index for index, name in enumerate(submission.directories) if name in own]
    scripts = {name: blob for name, blob in submission.scripts.items() if name in own}
    return submission._replace(key=submission.folder, tasks=tasks, scripts=scripts)


def _alone(directory: str, asked: LocatedSubmission) -> LocatedSubmission:
    folder = os.path.join(asked.runs, directory)
    note = RunFiles(folder).load(RunNote, paths.RUN) or RunNote()
    return asked._replace(
        key=folder,
        folder=folder,
        notes=paths.remex(folder),
        directories=[directory],
        tasks=[0],
        scripts={name: blob for name, blob in asked.scripts.items() if name == directory},
        array=None,
        pack=None,
        comment=f"remex:{note.sha}",
    )


def _make_group(submission: LocatedSubmission, scripts: Scripts) -> None:
    """Make a group's folder, once; an error of kind runs if it exists for other runs."""
    folder = submission.folder
    members = "".join(name + "\n" for name in submission.directories)
    if not os.path.isdir(folder):
        built = f"{folder}.{fs.unique()}"
        fs.make_common(submission.runs, os.path.dirname(folder))
        kept = dumps(submission.as_asked(), paths.DISK_FORMAT)
        texts = {**scripts(submission), paths.MEMBERS: members, paths.SUBMISSION: kept}
        _build(submission, texts, built)
        _rename(built, folder)
    if fs.read(os.path.join(folder, paths.MEMBERS), largest=LARGEST_LIST) != members:
        message = f"{folder} exists already, for other runs; launch again"
        raise AgentError("runs", message)


def _build(submission: LocatedSubmission, texts: Dict[str, str], built: str) -> None:
    log = os.path.join(built, "log")
    os.makedirs(paths.remex(built))
    os.mkdir(log)
    for index, run in enumerate(submission.members):
        os.symlink(run, os.path.join(built, str(index)))
    for name, text in texts.items():
        fs.replace(os.path.join(built, name), text)
    # other users tell by them whose the jobs are
    for path in (built, log, paths.remex(built), *(os.path.join(built, name) for name in texts)):
        fs.share(path, submission.runs)


def _rename(built: str, folder: str) -> None:
    try:
        os.rename(built, folder)
    except OSError:
        # another agent of the same launch was faster
        shutil.rmtree(built, ignore_errors=True)
        if not os.path.isdir(folder):
            raise


def _own_file(path: str) -> Optional[str]:
    """Return a file's text; it decides what is run, so only this account may have written it."""
    try:
        if os.lstat(path).st_uid != os.geteuid():
            raise UnreadableError(path, "another user wrote it")
    except FileNotFoundError:
        return None
    return fs.read(path, largest=LARGEST_LIST)
