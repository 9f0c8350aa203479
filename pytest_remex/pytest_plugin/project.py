"""Find the project's folder: the top of the repository that contains pytest's rootdir.

pytest's rootdir depends on the folder in which it is started and on its file arguments. The
location of the output folder and the node ids in launch records must not depend on these.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest


class ProjectFolders(NamedTuple):
    """The project's folder, to which node ids in records are relative, and the output folder.

    `moved_to` is the output folder's location for new projects, if it is used at its old one.
    """

    top: Path
    output: Path
    moved_to: Path | None = None


NODE = pytest.StashKey[str]()
"""The node id of an experiment, for an item whose own node id names a variant of the grid too."""
_FOLDERS = pytest.StashKey[ProjectFolders]()
_LARGEST_CONFTEST = 1_000_000
"""The bytes of a conftest.py that are searched for this package's name."""


def project_folders(config: pytest.Config) -> ProjectFolders:
    """Return the folders of a pytest run's project.

    An output folder below rootdir, made by a release before 0.2, is still used, with rootdir as the
    project's folder for its records.
    """
    if _FOLDERS not in config.stash:
        name = str(config.getini("remex_output"))
        rootdir = config.rootpath
        project, old = ProjectFolders(top := repository_of(rootdir), top / name), rootdir / name
        if top != rootdir and old != project.output and (old / "launches").is_dir():
            project = ProjectFolders(rootdir, old, project.output)
        config.stash[_FOLDERS] = project
    return config.stash[_FOLDERS]


def repository_of(folder: Path) -> Path:
    """Return the top of the repository that contains a folder; the folder itself if none does."""
    for top in (folder, *folder.parents):
        git = top / ".git"
        if git.is_file() or (git / "HEAD").exists():
            return top
    return folder


def node_of(item: pytest.Item) -> str:
    """Return an item's node id relative to the project's folder."""
    top, node = project_folders(item.config).top, item.stash.get(NODE, item.nodeid)
    if top == item.config.rootpath or not item.path.is_relative_to(top):
        return node
    _file, *names = node.split("::", 1)
    return "::".join([item.path.relative_to(top).as_posix(), *names])


def read_conftests_above(config: pytest.Config, arguments: Sequence[str]) -> None:
    """Have pytest read the repository's conftest.py files above rootdir if one names this package.

    Without an ini file, rootdir is the folder in which pytest is started, and pytest reads no
    conftest.py above it. Code of another user's repository is not run: git refuses those too.

    Args:
        config: The configuration, before pytest reads the first conftest.py.
        arguments: The command line's.

    """
    options = config.known_args_namespace
    is_given = any(each.startswith("--confcutdir") for each in arguments)
    if config.inipath or is_given or options.noconftest:
        return
    top = repository_of(config.rootpath)
    paths = list(_conftests_above(config.rootpath))
    # whose they are is asked first: others' files may be closed to us
    if paths and all(map(_is_ours, (top / ".git", *paths))) and any(map(_names_ours, paths)):
        options.confcutdir = str(top)


def refuse_unread_conftests(config: pytest.Config) -> None:
    """Refuse to continue if pytest did not read a conftest.py above rootdir.

    It may set another repository or cluster.

    Raises:
        pytest.UsageError: The repository has a conftest.py that pytest did not read.

    """
    if config.option.noconftest:
        return
    for path in _conftests_above(config.rootpath):
        if not config.pluginmanager.has_plugin(str(path)):
            top = repository_of(config.rootpath)
            elsewhere = f", run pytest from {top}, or put an empty pytest.ini there"
            raise pytest.UsageError(
                f"{path} was not read, because it is above pytest's rootdir {config.rootpath}; it "
                f"may set the repository and the cluster: add --confcutdir={top}"
                + ("" if config.inipath else elsewhere)
            )


def _conftests_above(rootdir: Path) -> Iterator[Path]:
    top = repository_of(rootdir)
    for folder in rootdir.parents:
        if not folder.is_relative_to(top):
            return
        if (path := folder / "conftest.py").is_file():
            yield path


def _is_ours(path: Path) -> bool:
    return path.stat().st_uid == os.geteuid()


def _names_ours(path: Path) -> bool:
    """Return whether a file names this package."""
    with path.open("rb") as file:
        return b"pytest_remex" in file.read(_LARGEST_CONFTEST)
