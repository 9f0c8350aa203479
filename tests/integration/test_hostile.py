"""Hostile text in parameters, ids, names and files: nothing runs, nothing escapes."""

import pytest

TEXTS = [
    "; touch owned",
    "$(touch owned)",
    "`touch owned`",
    "' \" \\",
    "two\nlines",
    "-rf",
    "../../owned",
    "/etc/passwd",
    "<script>alert(1)</script>",
    "{0} %s %n",
    "é 星 \u202e",
    "a" * 300,
    " ",
    "",
    "[x]::y",
    "CON",
    "=1+1",
    "lone \udc80 \ud800",
    "nul \x00",
]


def escaped(project):
    """Return files that hostile text created outside of its place."""
    above = [*project.path.glob("owned"), *project.path.parent.glob("owned")]
    return [*above, *project.runs.rglob("owned")]


def test_values(empty_project):
    """Any text as a value goes to the job, to the results and to the report, and only there."""
    empty_project.sweeps(f"""
        from pytest_remex import sweep
        @sweep({{"text": {TEXTS!r}}}, fetch=["result.txt"])
        def grid(experiment):
            (experiment.path / "input.txt").write_bytes(ascii(experiment.config["text"]).encode())
            run = yield
            assert run.read("result.txt") == ascii(experiment.config["text"])
            return {{"text again": experiment.config["text"]}}
        """)
    empty_project.pytest("sweeps.py").assert_outcomes(passed=len(TEXTS))
    empty_project.ran()
    result = empty_project.pytest("--remex-collect", "-v")
    result.assert_outcomes(passed=len(TEXTS))
    assert empty_project.pytest("--remex-status", "-v").ret == 0
    assert not escaped(empty_project)
    assert "<script>alert(1)" not in (empty_project.output / "grid/report.html").read_text()
    links = list((empty_project.output / "grid/links").iterdir())
    assert len(links) == 2 * len(TEXTS)
    assert all(link.resolve().is_relative_to(empty_project.output) for link in links)


@pytest.mark.parametrize(
    "name", ["; touch owned", "../../owned", "a b", "-x", "星", "x.lock", "a/b"]
)
def test_sweep_names(project, name):
    """Any text as a sweep's name makes names that stay in their places."""
    project.edit("sweeps.py", "fetch=", f"name={name!r}, fetch=")
    project.ran("-k", "a=1")
    project.pytest("--remex-collect", "-k", "a=1").assert_outcomes(passed=1, deselected=2)
    assert not escaped(project)
    (record,) = project.record_paths()
    assert record.parent == project.output / "launches"
    (folder,) = project.run_directories()
    assert (folder / "result.txt").exists()
    reports = list(project.output.rglob("report.html"))
    assert len(reports) == 1
    assert reports[0].parent.parent == project.output


def test_parameter_names(empty_project):
    """Any text as a parameter's name is kept as it is."""
    empty_project.sweeps("""
        from pytest_remex import sweep
        @sweep({"; touch owned": [1], ("xa(1)", "a b"): [(1, 2)], "../x": [3], "state": [4]})
        def grid(experiment):
            (experiment.path / "input.txt").write_text(str(experiment.config))
            yield
        """)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)
    assert not escaped(empty_project)


@pytest.mark.parametrize(
    "name", ["-x.txt", "a b.txt", "quote'\".txt", "new\nline.txt", "星.txt", "*.txt"]
)
def test_file_names(empty_project, name):
    """Files of any name are committed, placed and fetched as they are."""
    empty_project.sweeps(f"""
        from pytest_remex import sweep
        @sweep(fetch=["*.txt"])
        def grid(experiment):
            (experiment.path / {name!r}).write_text("x")
            run = yield
            assert run.read({name!r}) == "x"
        """)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)


def test_undecodable_file_name(empty_project):
    """A file whose name is not UTF-8 is committed, placed and fetched as it is."""
    empty_project.sweeps(r"""
        import os
        from pytest_remex import sweep
        @sweep(fetch=["*.bin"])
        def grid(experiment):
            (experiment.path / os.fsdecode(b"\xff\xfe.bin")).write_text("x")
            run = yield
            assert (run.path / os.fsdecode(b"\xff\xfe.bin")).read_text() == "x"
        """)
    empty_project.ran()
    empty_project.pytest("--remex-collect").assert_outcomes(passed=1)


def test_fetch_cannot_leave(project):
    """fetch= names files in the run directory, and nothing above it."""
    project.edit("sweeps.py", '"result.txt"', '"../../../input.txt"')
    project.submit()
    project.wait()
    result = project.pytest("--remex-collect")
    assert result.ret != 0
    assert "../../../input.txt" in result.stdout.str()
    assert "Traceback" not in result.stdout.str()


def test_read_cannot_leave(project):
    """run.read reads in the run directory, and nothing above it."""
    project.edit("sweeps.py", "run = yield", "run = yield\n    run.read('../../../input.txt')")
    project.ran()
    result = project.pytest("--remex-collect")
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*'../../../input.txt' leaves the run directory*"])


def test_hostile_output(empty_project):
    """A job's output is shown as text, whatever it holds."""
    empty_project.commit(
        run_sbatch="""\
        #!/bin/sh
        #SBATCH -o job.out
        printf '<script>alert(1)</script> \\033[31m \\000 \\377\\n'
        exit 1
        """
    )
    empty_project.sweeps("from pytest_remex import sweep\n@sweep()\ndef one(): pass\n")
    empty_project.ran()
    result = empty_project.pytest("--remex-collect", "-v", "-rA")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*<script>alert(1)</script>  ␀ *"])
    assert not set(result.stdout.str()) & {"\x1b", "\x00", "\x07"}
    assert "<script>alert(1)" not in (empty_project.output / "one/report.html").read_text()


def test_odd_base_tree(empty_project):
    """Links, modes and odd names of the base commit are in the run directory as they are."""
    (empty_project.path / "link").symlink_to("input.txt")
    (empty_project.path / "dangling").symlink_to("/nonexistent/../x")
    (empty_project.path / "run.sbatch").chmod(0o755)
    (empty_project.path / "crlf.txt").write_bytes(b"a\r\nb\r\n")
    (empty_project.path / "a b\n'c").write_text("odd")
    empty_project.write(".gitattributes", "*.txt text eol=lf\nnotes export-ignore\n")
    empty_project.git("config", "core.autocrlf", "false")
    empty_project.commit()
    empty_project.sweeps("from pytest_remex import sweep\n@sweep()\ndef one(): pass\n")
    empty_project.ran()
    (folder,) = empty_project.run_directories()
    listed = empty_project.git("ls-tree", "-rz", "--name-only", "HEAD").split("\0")
    here = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink() or p.is_file()}
    assert {name for name in listed if name} <= here
    assert (folder / "dangling").readlink().as_posix() == "/nonexistent/../x"
    assert (folder / "run.sbatch").stat().st_mode & 0o100
    assert (folder / "notes/about").exists()
