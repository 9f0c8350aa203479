"""--remex-doctor: what is needed, line by line, with the fix and the command to type."""


def test_this_machine(project):
    """On this machine all is well, nothing is made, and the next command is named."""
    result = project.pytest("--remex-doctor")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(
        [
            "*- remex doctor on this machine -*",
            f"ok * repository: {project.path} at *",
            f"ok * output folder: {project.output}",
            "ok * python3: 3.*",
            "ok * git: git version *",
            f"ok * runs folder: {project.runs}",
            "*disk: * GB free*",
            "ok * clock: agrees *",
            "next: --remex-plan*",
        ]
    )
    assert not project.output.exists()


def test_faults(project):
    """A fault fails, with the command that fixes it."""
    project.runs.mkdir(parents=True)
    project.runs.chmod(0o777)
    result = project.pytest("--remex-doctor")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(
        ["fault runs folder: *writable for everyone*", f"*fix: chmod o-w {project.runs}"]
    )
    project.runs.chmod(0o755)
    assert project.pytest("--remex-doctor").ret == 0


def test_a_damaged_repository(project):
    """A file of the commit that git has lost is a fault, before any plan or submit."""
    blob = project.git("rev-parse", "HEAD:run.sbatch").strip()
    (project.path / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    result = project.pytest("--remex-doctor")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(["fault repository: git cannot *: run `git fsck`"])


def test_hidden_exit_codes(project):
    """A script whose last command hides a crash is named by doctor, plan and submit."""
    project.commit(run_sbatch="#!/bin/sh\n${REMEX_COMMAND:-./rn}\n", rn="#!/bin/sh\n./star\ndate\n")
    said = "rn ends in `date`, which hides the exit code of `./star`*"
    result = project.pytest("--remex-doctor")
    result.assert_outcomes(passed=1, deselected=2)
    result.stdout.fnmatch_lines(
        [f"note  exit code: {said}", "*fix: write `code=*`set -e` at the top"]
    )
    project.pytest("--remex-plan").stdout.fnmatch_lines([said])
    project.submit("-k=1").stdout.fnmatch_lines([said])


def test_host_that_is_not_there(project):
    """A host that cannot be reached is a line with the command to try; other lines come too."""
    project.write(
        "pytest.ini",
        "[pytest]\nremex_host=nowhere.invalid\nremex_clone=~/c\nremex_runs=~/r\n",
    )
    no_origin = project.pytest("--remex-doctor").stdout
    no_origin.fnmatch_lines(
        ["fault origin from here: *has no remote called origin", "*fix: git * remote add origin *"]
    )
    project.git("remote", "add", "origin", "/nowhere")
    result = project.pytest("--remex-doctor")
    result.assert_outcomes(failed=1, deselected=2)
    result.stdout.fnmatch_lines(
        [
            "fault origin from here: *does not answer*",
            "      Please make sure you have the correct access rights",
            "fault login: *nowhere.invalid*",
            "*fix: ssh nowhere.invalid true",
            "next: --remex-doctor*",
        ]
    )


def test_connection_errors_point_to_it(project):
    """An error about the connection names the mode that examines it."""
    project.write(
        "pytest.ini",
        "[pytest]\nremex_host=nowhere.invalid\nremex_clone=~/c\nremex_runs=~/r\n",
    )
    project.pytest("--remex-submit").stdout.fnmatch_lines(
        ["*--remex-doctor checks the connection*"]
    )
    assert not project.record_paths()
