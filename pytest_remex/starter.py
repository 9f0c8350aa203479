"""Make the files for a first sweep: a sweep file that fits the config, a batch script, settings.

Files are only read here; the caller writes what is missing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from pytest_remex.common.redact import redact
from pytest_remex.config import ConfigText, Settings, load
from pytest_remex.config.settings import find_places, full_name, leaves
from pytest_remex.errors import ConfigError
from pytest_remex.model import SCRIPT
from pytest_remex.sweep import SWEEP_FILES

SWEEPS = "sweeps.py"
SETTINGS = "pytest.ini"
IGNORE = ".gitignore"
CACHES = "__pycache__/"
"""Python writes there whenever pytest runs: files in it would be inputs that always change."""

_OWN_CONFIG = "parameters.json"
"""The file that the sweep writes if there is no config file."""

_DEEPEST = 3
_MOST_FILES = 5000
_TOOLS = re.compile(
    r"pyproject\.toml|setup\.cfg|tox\.ini|pytest\.ini|\..*|package.*\.json|tsconfig\.json|"
    r".*\.ipynb|mkdocs\.yml|environment.*\.ya?ml|docker-compose.*|mypy\.ini|ruff\.toml|"
    r"fpm\.toml|cargo\.toml|.*\.lock|cmakepresets\.json|codemeta\.json|.*\.cff|readthedocs.*"
)
"""Config files of tools, which do not contain a simulation's parameters."""
_LIKELY = re.compile(r"inlist_project|config|param|settings|input|namelist|run|athinput|user_nl")
_SETTINGS_OF_PYTEST = (
    ("pyproject.toml", re.compile(r"^\[tool\.pytest\b", re.MULTILINE)),
    ("tox.ini", re.compile(r"^\[pytest\]", re.MULTILINE)),
    ("setup.cfg", re.compile(r"^\[tool:pytest\]", re.MULTILINE)),
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number in a config file: its name for `patch_config`, and two values for it."""

    name: str
    values: tuple[int | float, int | float]


@dataclass(frozen=True, slots=True)
class Project:
    """A repository: its top folder, and what a first sweep needs of it; None for what it lacks."""

    top: Path
    config_file: str | None
    parameter: Parameter | None
    sweep_file: str | None
    has_script: bool
    settings_file: str | None
    program: str | None
    origin: str | None
    ignored: str | None
    """What .gitignore says."""


def inspect_project(top: Path) -> Project:
    """Search a repository for a config file, a parameter, and existing files.

    Raises:
        ConfigError: Its config file needs a library that is not installed.

    """
    names = sorted(_files(top), key=_rank)
    candidates = [name for name in names if not _TOOLS.fullmatch(Path(name).name.lower())]
    config_file, parameter = _first_config(top, candidates)
    top_level = [name for name in names if "/" not in name]
    return Project(
        top=top,
        config_file=config_file,
        parameter=parameter,
        sweep_file=next((name for name in top_level if _is_sweep_file(name)), None),
        has_script=(top / SCRIPT).is_file(),
        settings_file=_settings_file(top),
        program=_program(top_level),
        origin=_origin(top),
        ignored=ignore.read_text("utf-8", "replace")
        if (ignore := top / IGNORE).is_file()
        else None,
    )


def missing_files(project: Project) -> dict[str, str]:
    """Return the texts of the missing files, by name."""
    files: dict[str, str] = {}
    if project.sweep_file is None:
        files[SWEEPS] = _sweeps(project)
    if not project.has_script:
        files[SCRIPT] = _script(project)
    if project.settings_file is None:
        files[SETTINGS] = _settings(project)
    if project.ignored is None:
        files[IGNORE] = f"{CACHES}\n"
    return files


def ignores_caches(project: Project) -> bool:
    """Return whether .gitignore seems to keep Python's caches out of the repository."""
    return bool(re.search(r"__pycache__|\*\.py(?:c|\[)", project.ignored or ""))


def _files(top: Path) -> Iterator[str]:
    """Yield the files in the top few levels, except in hidden folders."""
    count = 0
    for folder, folders, names in os.walk(top):
        depth = len(Path(folder).relative_to(top).parts)
        hidden = [name for name in folders if name.startswith(".") or name == "remex-output"]
        folders[:] = [] if depth >= _DEEPEST else sorted(set(folders) - {*hidden})
        for name in sorted(names):
            count += 1
            if count > _MOST_FILES:
                return
            yield (Path(folder) / name).relative_to(top).as_posix()


def _rank(name: str) -> tuple[int, int, str]:
    """Return a sort key: likely config files first, then those nearer to the top."""
    last = name.rpartition("/")[2].lower()
    return (0 if _LIKELY.match(last) else 1, name.count("/"), name)


def _first_config(top: Path, names: list[str]) -> tuple[str | None, Parameter | None]:
    """Return the first file with a number to vary, or else the first config file."""
    first: str | None = None
    for name in names:
        settings = _read(top / name)
        if settings is None:
            continue
        first = first or name
        if (parameter := _parameter(settings)) is not None:
            return name, parameter
    return first, None


def _read(path: Path) -> Settings | None:
    if path.is_symlink() or path.suffix in {".py", ".sbatch", ".sh", ".md", ".txt", ".log", ".csv"}:
        return None
    try:
        config: ConfigText = load(path)
        return config.format.read(config.text) if config.format else None
    except ConfigError as error:
        if "pip install" in str(error):
            raise ConfigError(f"{path.name}: {error}") from None
        return None


def _parameter(settings: Settings) -> Parameter | None:
    """Return the first number to vary: floats before integers."""
    numbers = {full_name(place): value for place, value in leaves(settings) if _is_number(value)}
    floats = {name: value for name, value in numbers.items() if isinstance(value, float)}
    for name, value in {**floats, **numbers}.items():
        short = name.rpartition(".")[2]
        known = short in settings and len(find_places(settings, short)) <= 1
        return Parameter(short if known else name, (value, 2 * value))
    return None


def _is_number(value: object) -> TypeGuard[int | float]:
    """Return whether a value is a number to vary."""
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(value)


def _is_sweep_file(name: str) -> bool:
    return any(Path(name).match(pattern) for pattern in SWEEP_FILES)


def _settings_file(top: Path) -> str | None:
    if (top / SETTINGS).is_file():
        return SETTINGS
    for name, section in _SETTINGS_OF_PYTEST:
        if (top / name).is_file() and section.search((top / name).read_text("utf-8", "replace")):
            return name
    return None


def _program(names: list[str]) -> str | None:
    """Return the command that runs the simulation, if it can be guessed."""
    if {"rn", "mk"} <= {*names}:  # MESA's work directory
        return "${REMEX_COMMAND:-./rn}"
    scripts = [
        name
        for name in names
        if name.endswith(".py") and not _is_sweep_file(name)
        and name not in {"conftest.py", "setup.py"} and not name.startswith("test_")
    ]  # fmt: skip
    return f"python3 {scripts[0]}" if len(scripts) == 1 else None


def _origin(top: Path) -> str | None:
    """Return the address of the remote origin, without the credentials in it."""
    config = top / ".git" / "config"
    text = config.read_text("utf-8", "replace") if config.is_file() else ""
    match = re.search(r'^\[remote "origin"\][^\[]*?^\s*url\s*=\s*(\S+)', text, re.MULTILINE)
    return redact(match[1]) if match else None


def _sweeps(project: Project) -> str:
    if project.config_file and project.parameter:
        parameter, file = project.parameter, json.dumps(project.config_file)
        imports = "from pytest_remex import sweep\nfrom pytest_remex.config import patch_config"
        patch = (
            f"patch_config({file}, experiment.config)  # in a scratch checkout, not in your files"
        )
    else:
        parameter, file = Parameter("a", (1, 2)), json.dumps(_OWN_CONFIG)
        imports = "import json\nfrom pathlib import Path\n\nfrom pytest_remex import sweep"
        patch = (
            f"Path({file}).write_text(json.dumps(experiment.config))  # for your program to read"
        )
    values = ", ".join(map(repr, parameter.values))
    return f'''"""Sweeps: each function is a grid of experiments. Try them: `pytest {SWEEPS}`."""

{imports}


@sweep(
    {{{json.dumps(parameter.name)}: [{values}]}},  # what varies, and its values: edit these
    base_config={{}},  # parameters that do not vary
    # fetch=["out/*.csv"],  # the outputs to bring back from the run directory
    config_file={file},  # is read back: what ran is what was asked for
)
def first(experiment):
    """Say here what this sweep asks."""
    {patch}
    run = yield  # the job runs; when it has completed, its outputs are in run.path
    # Assert what makes a run good, and return what belongs in the table of results:
    # assert "converged" in run.log
    # table = run.read("out/result.csv")
    return {{"output_lines": len(run.log.splitlines())}}
'''


def _script(project: Project) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", project.top.name).strip("-") or "job"
    shown = project.config_file if project.config_file and project.parameter else _OWN_CONFIG
    command = project.program or f"cat {_quoted(shown)}"
    comment = "" if project.program else "# Put the command of your program here, instead of cat:\n"
    return f"""#!/bin/bash
#SBATCH --job-name={name}
#SBATCH --output=slurm.out
#SBATCH --time=00:10:00
# The script that Slurm runs in each run directory, which has the repository's files.
set -e
{comment}{command}
"""


def _settings(project: Project) -> str:
    folder = re.sub(r"[^\w.-]+", "-", project.top.name) or "project"
    origin = (
        project.origin
        or "a repository that the cluster can reach, your `git remote add origin ...`"
    )
    return f"""[pytest]
# Without these, jobs run on this machine. For a cluster take away the `# `.
# The clone is one of {origin}
# remex_host = user@cluster
# remex_clone = ~/{folder}
# remex_runs = ~/{folder}-runs
"""


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[\w./-]+", name) else "'" + name.replace("'", "'\\''") + "'"
