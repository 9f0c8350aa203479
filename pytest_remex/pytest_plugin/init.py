"""`--remex-init`: write the files that a repository needs for its first sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_remex.display import clean
from pytest_remex.errors import RemexError
from pytest_remex.io import writing
from pytest_remex.model import SCRIPT
from pytest_remex.pytest_plugin import options
from pytest_remex.pytest_plugin.project import repository_of
from pytest_remex.starter import (
    CACHES,
    IGNORE,
    SETTINGS,
    SWEEPS,
    Project,
    ignores_caches,
    inspect_project,
    missing_files,
)


def init(config: pytest.Config) -> int:
    """Write the missing files in the repository that pytest was started in; never overwrite.

    Raises:
        pytest.UsageError: A file cannot be written, a library is missing, or a mode is asked for.

    """
    if config.option.remex_modes:
        mode = options.mode(config)
        raise pytest.UsageError(f"--remex-init cannot be combined with --remex-{mode}")
    top = repository_of(config.invocation_params.dir)
    try:
        project = inspect_project(top)
        files = missing_files(project)
        for name, text in files.items():
            with writing(top / name), (top / name).open("x", encoding="utf-8") as file:
                file.write(text)
    except RemexError as error:
        raise pytest.UsageError(str(error)) from None
    done, following = _what_was_done(project, files), _next(top, list(files), project)
    for line in (f"remex init in {top}", *done, f"next: {following}"):
        print(clean(line))  # noqa: T201 - pytest's terminal is not there yet
    return 0


def _what_was_done(project: Project, files: dict[str, str]) -> list[str]:
    what = {
        SWEEPS: f"varies {project.parameter.name} of {project.config_file}"
        if project.parameter
        else "found no config file with a number: writes parameters.json for your program",
        SCRIPT: f"runs {project.program}"
        if project.program
        else "only prints the config file: put your program's command in it",
        SETTINGS: "jobs run on this machine: put your cluster's name in it",
    }
    there = {SWEEPS: project.sweep_file, SCRIPT: SCRIPT, SETTINGS: project.settings_file}
    done = [
        f"wrote {name}: {what[name]}" if name in files else f"kept {there[name]}, as it is"
        for name in what
    ]
    if IGNORE in files:
        return [*done, f"wrote {IGNORE}: keeps Python's caches out of the experiments"]
    add = f"add {CACHES} to {IGNORE}: Python's caches are no part of the experiments"
    return done if ignores_caches(project) else [*done, add]


def _next(top: Path, written: list[str], project: Project) -> str:
    commands = []
    if not (top / ".git").exists():
        commands += ["git init", "git add --all", 'git commit -m "First"']
    elif written:
        commands += [f"git add {' '.join(written)}", 'git commit -m "Add a first sweep"']
    return " && ".join([*commands, f"pytest {project.sweep_file or SWEEPS}"])
