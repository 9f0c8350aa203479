"""--remex-init writes what a repository lacks for its first sweep, which then runs."""

import pytest

FILES = {
    "config.yaml": "title: tube\ngas:\n  gamma: 1.4  # ratio\n  on: true\nnx: 64\n",
    "settings/params.toml": "nx = 64\n[gas]\ngamma = 1.4\n",
    "parameters.json": '{"nx": 0, "gas": {"gamma": 1.4}}\n',
    "input.json5": "{gas: {gamma: 1.4}} // c\n",
    "solver.ini": "[gas]\ngamma = 1.4 ; c\n",
    "athinput.tube": "<gas>\ngamma = 1.4 # c\n",
    "flash.par": "# c\ngamma = 1.4\n",
    "gyre.in": "&gas\n gamma = 1.4\n/\n",
    "inlist_project": "&gas\n gamma = 1.4 ! c\n/\n",
    "user_nl_gas": "gamma = 1.4\n",
}


@pytest.fixture
def bare(project):
    """Return a project without anything of pytest-remex's."""
    project.git("rm", "--quiet", "run.sbatch", "pytest.ini")
    project.write(".gitignore", "__pycache__/\n")
    (project.path / "sweeps.py").unlink()
    return project


@pytest.mark.parametrize("name", FILES)
def test_result_runs_as_it_stands(bare, name):
    """The files written fit the config file: they are tried, submitted and collected unchanged."""
    project = bare
    project.write(name, FILES[name])
    project.write("pyproject.toml", "[project]\nname = 'x'\nversion = '2.0'\n")
    project.commit()
    result = project.pytest("--remex-init")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            f"remex init in {project.path}",
            f"wrote sweeps.py: varies gamma of {name}",
            "wrote run.sbatch: only prints the config file: *",
            "wrote pytest.ini: jobs run on this machine: *",
            "next: git add sweeps.py run.sbatch pytest.ini && git commit * && pytest sweeps.py",
        ]
    )
    assert '"gamma": [1.4, 2.8]' in (project.path / "sweeps.py").read_text()
    project.commit()
    project.pytest("sweeps.py").assert_outcomes(passed=2)
    project.pytest("sweeps.py", "--remex-submit").assert_outcomes(passed=2)
    done = project.pytest("sweeps.py", "--remex-collect", "--remex-wait=60")
    done.assert_outcomes(passed=2)
    assert "output_lines" in (project.output / "first" / "results.csv").read_text()


def test_no_credentials_are_written(bare):
    """The settings name the address of origin without the token in it: they will be committed."""
    bare.git("remote", "add", "origin", "https://me:glpat-123@example.org/star.git")
    assert bare.pytest("--remex-init").ret == 0
    written = (bare.path / "pytest.ini").read_text()
    assert "https://***@example.org/star.git" in written
    assert "glpat" not in written


def test_no_escape_of_a_file_name_acts(bare):
    """The name of a config file is shown without escape sequences."""
    bare.write("input\x1b[31m.yaml", "gamma: 1.4\n")
    result = bare.pytest("--remex-init")
    assert result.ret == 0
    assert "\x1b" not in result.stdout.str()
    result.stdout.fnmatch_lines(["wrote sweeps.py: varies gamma of input.yaml"])


def test_nothing_to_vary(bare):
    """Without a config file the sweep writes one for the program, and this runs too."""
    project = bare
    project.write("simulate.py", "import json\nprint(json.load(open('parameters.json')))\n")
    project.commit()
    result = project.pytest("--remex-init")
    result.stdout.fnmatch_lines(
        ["wrote sweeps.py: *parameters.json*", "wrote run.sbatch: runs python3 simulate.py"]
    )
    project.commit()
    project.pytest("sweeps.py", "--remex-submit").assert_outcomes(passed=2)
    project.pytest("sweeps.py", "--remex-collect", "--remex-wait=60").assert_outcomes(passed=2)


def test_mesa_work_directory(bare):
    """MESA's `rn` is what the script runs, so that a continued run can be another command."""
    project = bare
    project.write("rn", "#!/bin/sh\ncat inlist_project\n")
    (project.path / "rn").chmod(0o755)
    project.write("mk", "#!/bin/sh\n")
    project.write("inlist", "&controls\n read_extra_controls_inlist(1) = .true.\n/\n")
    project.write("inlist_project", "&controls\n initial_mass = 15 ! solar\n/\n")
    project.commit()
    project.pytest("--remex-init").stdout.fnmatch_lines(
        ["wrote sweeps.py: varies initial_mass of inlist_project", "wrote run.sbatch: runs *./rn*"]
    )
    assert (project.path / "run.sbatch").read_text().endswith("\n${REMEX_COMMAND:-./rn}\n")
    project.commit()
    project.pytest("sweeps.py", "--remex-submit").assert_outcomes(passed=2)
    project.pytest("sweeps.py", "--remex-collect", "--remex-wait=60").assert_outcomes(passed=2)
    logs = [(path / "slurm.out").read_text() for path in project.run_directories()]
    assert sorted(logs) == [f"&controls\n initial_mass = {m} ! solar\n/\n" for m in (15, 30)]


def test_nothing_is_overwritten(project):
    """Existing files are kept, byte for byte, and named."""
    (project.path / "sweeps.py").unlink()
    project.write("sweep_mine.py", "mine\n")
    project.write("config.yaml", "a: 1\n")
    before = {path: path.read_bytes() for path in project.path.iterdir() if path.is_file()}
    result = project.pytest("--remex-init")
    result.stdout.fnmatch_lines(
        [
            "kept sweep_mine.py, as it is",
            "kept run.sbatch, as it is",
            "kept pytest.ini, as it is",
            "next: pytest sweep_mine.py",
        ]
    )
    assert {path: path.read_bytes() for path in project.path.iterdir() if path.is_file()} == before


def test_settings_in_pyproject(bare):
    """Settings of pytest elsewhere are kept, and no pytest.ini hides them."""
    bare.write("pyproject.toml", "[tool.pytest.ini_options]\nminversion = '8'\n")
    bare.pytest("--remex-init").stdout.fnmatch_lines(["kept pyproject.toml, as it is"])
    assert not (bare.path / "pytest.ini").exists()


def test_outside_of_a_repository(bare):
    """If there is no git repository yet, the next command begins with git init."""
    (bare.path / ".git").rename(bare.path / "elsewhere")
    result = bare.pytest("--remex-init")
    result.stdout.fnmatch_lines(
        ["next: git init && git add --all && git commit * && pytest sweeps.py"]
    )


def test_with_a_mode(bare):
    """Another mode together with it is refused, and nothing is written."""
    result = bare.pytest("--remex-init", "--remex-submit")
    result.stderr.fnmatch_lines(["*--remex-init cannot be combined with --remex-submit"])
    assert not (bare.path / "run.sbatch").exists()


def test_from_a_folder_below_the_top(bare, monkeypatch):
    """The files go to the top of the repository, where run.sbatch is looked for."""
    monkeypatch.chdir(bare.path / "notes")
    assert bare.pytest("--remex-init").ret == 0
    assert (bare.path / "run.sbatch").exists()
    assert not (bare.path / "notes" / "sweeps.py").exists()


def test_caches_are_kept_out(bare):
    """Without a .gitignore one is written; if it lacks Python's caches, that is said."""
    project = bare
    (project.path / ".gitignore").unlink()
    wrote = project.pytest("--remex-init")
    wrote.stdout.fnmatch_lines(["wrote .gitignore: *", "next: git add * .gitignore && *"])
    assert (project.path / ".gitignore").read_text() == "__pycache__/\n"
    project.pytest("--remex-init").stdout.no_fnmatch_line("*.gitignore*")
    project.write(".gitignore", "*.o\n")
    project.pytest("--remex-init").stdout.fnmatch_lines(["add __pycache__/ to .gitignore: *"])
    assert (project.path / ".gitignore").read_text() == "*.o\n"
