"""Sweeps that come after others: on this machine, with real git and the local scheduler."""

from __future__ import annotations

import csv

import pytest
from support.projects import shown_states

CHAIN = """
from pytest_remex import sweep

def write(experiment, text):
    (experiment.path / "input.txt").write_text(text + "\\n")

@sweep({"a": [1, 2]}, fetch=["result.txt"])
def first(experiment):
    write(experiment, f"first {experiment.config['a']}")
    run = yield
    run.record(size=len(run.read("result.txt")))

@sweep({"b": [1, 2]}, base_config={"c": 7}, after=first, fetch=["result.txt"])
def second(experiment):
    assert experiment.config == {"c": 7, "b": experiment.point["b"]}
    assert experiment.upstream.config == {"a": experiment.point["a"]}
    write(experiment, f"second {experiment.config['b']}")
    experiment.upstream.bring("result.txt", "begin/start.txt")
    run = yield
    assert run.upstream.path.name != run.path.name
    assert run.upstream.read("result.txt") == f"first {experiment.point['a']}\\n"
    run.record(both=run.upstream.experiment.id)

@sweep(after=second, fetch=["seen.txt"])
def third(experiment):
    write(experiment, "third")
    assert experiment.upstream.upstream.config == {"a": experiment.point["a"]}
    experiment.upstream.bring("result.txt")
    run = yield
    assert run.upstream.upstream.experiment.sweep.name == "first"
"""
SCRIPT = """\
#!/bin/sh
#SBATCH -J tiny
#SBATCH -o job.out
#SBATCH -t 5
while grep -q wait input.txt && ! test -e ../go; do sleep 0.05; done
if grep -q "fail" input.txt && ! test -e ../mended; then exit 3; fi
if grep -q "empty" input.txt; then : > result.txt; exit 0; fi
if grep -q third input.txt; then cp result.txt seen.txt; exit 0; fi
cat begin/start.txt >/dev/null 2>&1 || ! grep -q second input.txt || exit 4
cp input.txt result.txt
"""


@pytest.fixture
def chain(empty_project):
    """Return a project with a chain of three sweeps: 2, 4 and 4 experiments."""
    empty_project.commit(run_sbatch=SCRIPT)
    empty_project.write("conftest.py", READER)
    empty_project.sweeps(CHAIN)
    return empty_project


READER = """
def pytest_remex_read(path):
    return path.read_text()
"""


def rows(project, sweep):
    """Return the rows of a sweep's results."""
    return list(csv.DictReader((project.output / sweep / "results.csv").read_text().splitlines()))


def test_a_chain_runs(chain):
    """All stages go in one command; what is brought is there; results hold the measures above."""
    result = chain.submit("-v")
    assert list(shown_states(result).values()) == ["SUBMITTED"] * 10
    assert "third[a=2-b=1]" in shown_states(result)
    chain.wait()
    for folder in chain.run_directories():
        if "second" in folder.name:
            link = folder / "begin" / "start.txt"
            assert link.is_symlink()
            assert link.read_text().startswith("first")
            assert not str(link.readlink()).startswith("/")
    result = chain.pytest("--remex-collect", "-v")
    assert result.ret == 0
    assert list(shown_states(result).values()) == ["PASSED"] * 10
    assert [row["first.size"] for row in rows(chain, "second")] == ["8"] * 4
    third = rows(chain, "third")
    assert [row["second.both"] for row in third] == ["a=1", "a=1", "a=2", "a=2"]
    assert [row["first.size"] for row in third] == ["8"] * 4
    assert [(row["a"], row["b"]) for row in third] == [
        ("1", "1"),
        ("1", "2"),
        ("2", "1"),
        ("2", "2"),
    ]
    again = chain.pytest("--remex-submit", "-v")
    assert set(shown_states(again).values()) == {"ALREADY SUBMITTED"}
    assert len(chain.jobs()) == 10


def spoil(project, word):
    """Have the job of first[a=2] read a word that makes it fail, or leave nothing."""
    plain = """f"first {experiment.config['a']}")"""
    project.edit("sweeps.py", plain, f"{plain[:-1]} + ' {word}' * (experiment.config['a'] == 2))")


def test_upstream_that_fails(chain):
    """A run after a failed one is UPSTREAM FAILED; a retry sends both, and nothing else."""
    spoil(chain, "fail")
    chain.ran()
    status = chain.pytest("--remex-status", "-v")
    assert status.ret == 1
    states = shown_states(status)
    assert states["first[a=2]"] == "FAILED"
    assert states["second[a=2-b=1]"] == states["third[a=2-b=2]"] == "UPSTREAM FAILED"
    assert states["third[a=1-b=2]"] == "COMPLETED"
    status.stdout.fnmatch_lines(["stage first", "*stage second", "*stage third"])
    plan = chain.pytest("--remex-plan", "--remex-retry", "-v")
    assert shown_states(plan)["third[a=2-b=1]"] == "RETRY"
    assert shown_states(plan)["third[a=1-b=1]"] == "ALREADY SUBMITTED"
    (chain.runs / "mended").touch()
    retry = chain.submit("--remex-retry", "-v")
    sent = [name for name, word in shown_states(retry).items() if word == "SUBMITTED"]
    points = ["a=2-b=1", "a=2-b=2"]
    assert sent == [
        "first[a=2]",
        *(f"{stage}[{p}]" for stage in ("second", "third") for p in points),
    ]
    chain.wait()
    assert set(shown_states(chain.pytest("--remex-status", "-v")).values()) == {"COMPLETED"}


def test_file_that_is_empty(chain):
    """A job without its upstream's file does not run, and names it; a retry reruns the upstream."""
    spoil(chain, "empty")
    chain.ran("-k", "first or second")
    states = shown_states(status := chain.pytest("--remex-status", "-v", "-k", "second"))
    assert states == {
        "second[a=1-b=1]": "COMPLETED",
        "second[a=1-b=2]": "COMPLETED",
        "second[a=2-b=1]": "UPSTREAM FAILED",
        "second[a=2-b=2]": "UPSTREAM FAILED",
    }
    status.stdout.fnmatch_lines(["*result.txt of main_first*is empty*"])
    retry = shown_states(chain.submit("--remex-retry", "-v", "-k", "second"))
    assert [name for name, word in retry.items() if word == "SUBMITTED"] == [
        "first[a=2]",
        "second[a=2-b=1]",
        "second[a=2-b=2]",
    ]


def test_plan_of_a_purged_upstream(chain):
    """Plan and submit name a missing file of a completed upstream before anything is sent."""
    chain.ran("-k", "first")
    for folder in chain.run_directories():
        (folder / "result.txt").unlink()
    plan = chain.pytest("--remex-plan", "-k", "second")
    assert plan.ret == 1
    plan.stdout.fnmatch_lines(
        [
            "stages:",
            "first: 2 experiments, has nothing to send",
            "└── second: 4 experiments, asks for 4 jobs*",
            "*2 experiments UPSTREAM FAILED: sweeps.py::first?a=1?: it completed, and result.txt*",
        ]
    )
    whole = chain.pytest("--remex-plan", "-k", "second or third")
    whole.stdout.fnmatch_lines(["*4 experiments UPSTREAM FAILED: sweeps.py::first?a=1?: it *"])
    submit = chain.pytest("--remex-submit", "-k", "second")
    assert submit.ret == 1
    assert len(chain.jobs()) == 2
    submit.stdout.fnmatch_lines(["*UPSTREAM FAILED: sweeps.py::first*result.txt*not there*"])


@pytest.mark.parametrize("fails", ["patch", "fixture"])
def test_an_upstream_that_cannot_be_prepared(chain, fails):
    """If the first of three stages fails before it is sent, neither of the others is sent."""
    if fails == "patch":
        raises = "    1 / (experiment.id != 'a=1')\n"
        chain.edit(
            "sweeps.py", '    write(experiment, f"first', raises + '    write(experiment, f"first'
        )
    else:
        raises = "if request.node.name == 'first[a=1]': raise RuntimeError('no licence')"
        text = f"import pytest\n\n@pytest.fixture(autouse=True)\ndef once(request):\n    {raises}\n"
        chain.write("conftest.py", READER + text)
    for mode in ("--remex-plan", "--remex-submit"):
        result = chain.pytest(mode, "-v")
        assert result.ret == 1
        states = shown_states(result)
        after = [name for name in states if name.startswith(("second[a=1", "third[a=1"))]
        assert {states[name] for name in after} == {"FAILED"}
        assert len(after) == 4
    assert len(chain.jobs()) == 5


def test_an_upstream_that_ran_on_another_base(chain):
    """Plan and submit refuse what comes after it, until it is sent on the new base too."""
    chain.ran("-k", "first")
    base = chain.git("rev-parse", "--short=7", "HEAD")
    chain.commit(notes_txt="more\n")
    chosen = ("-k", "first or second")
    plan = chain.pytest("--remex-plan", *chosen)
    assert plan.ret == 1
    why = f"4 experiments: the upstream is ON ANOTHER BASE: submitted on base {base}"
    plan.stdout.fnmatch_lines([f"submit would be refused: {why}"])
    chain.pytest("--remex-submit", *chosen).assert_outcomes(failed=4, skipped=2)
    assert len(chain.jobs()) == 2
    assert chain.pytest("--remex-plan", "--remex-new-base", *chosen).ret == 0
    chain.submit("--remex-new-base", *chosen).assert_outcomes(passed=6)


@pytest.mark.parametrize("skips", ["patch", "mark"])
def test_a_skipped_upstream_skips_what_comes_after_it(chain, skips):
    """If an upstream is skipped, in its patch or by a mark, so are the experiments after it."""
    if skips == "patch":
        skip = "    if experiment.id == 'a=1': pytest.skip('too heavy')\n"
        chain.edit(
            "sweeps.py", '    write(experiment, f"first', skip + '    write(experiment, f"first'
        )
    else:
        mark = '@pytest.mark.skipif(True, reason="too heavy")\n@sweep({"a": [1, 2]}'
        chain.edit("sweeps.py", '@sweep({"a": [1, 2]}', mark)
    chain.edit("sweeps.py", "from pytest_remex", "import pytest\nfrom pytest_remex")
    left = 10 if skips == "mark" else 5
    unsubmitted = shown_states(chain.pytest("--remex-status", "-v"))
    assert set(unsubmitted.values()) == {"SKIPPED" if skips == "mark" else "NOT SUBMITTED"}
    for mode in ("--remex-plan", "--remex-submit"):
        result = chain.pytest(mode, "-rs")
        result.assert_outcomes(passed=10 - left, skipped=left)
        why = "*second[[]a=1-b=1], which it comes after, is skipped: first*is skipped: too heavy"
        result.stdout.fnmatch_lines([why])
    assert len(chain.jobs()) == 10 - left
    chain.wait()
    words = set(shown_states(chain.pytest("--remex-status", "-v")).values())
    patched = {"COMPLETED", "NOT SUBMITTED"}  # a status runs no patch
    assert words == ({"SKIPPED"} if skips == "mark" else patched)


def test_a_retried_upstream_leaves_what_runs_alone(chain):
    """If the check of an upstream failed, what comes after it is not sent again while it runs."""
    chain.edit("sweeps.py", 'run.record(size=len(run.read("result.txt")))', "assert False")
    chain.edit("sweeps.py", 'f"second', 'f"wait second')
    chain.submit("-k", "first or second")
    chain.until(ended=["1", "2"])
    chain.pytest("--remex-collect", "-k", "first or second").assert_outcomes(failed=2, skipped=4)
    again = shown_states(chain.submit("-v", "--remex-retry=check", "-k", "first or second"))
    assert {word for name, word in again.items() if "first" in name} == {"SUBMITTED"}
    assert {word for name, word in again.items() if "second" in name} == {"ALREADY SUBMITTED"}
    assert len(chain.jobs()) == 8
    chain.release_waiting()


def test_clean_leaves_what_a_waiting_stage_needs(chain):
    """The run directories of an upstream stay until all jobs after it have ended."""
    chain.edit("sweeps.py", 'f"second', 'f"wait second')
    chain.submit("-k", "first or second")
    chain.until(ended=["1", "2"])
    left = chain.pytest("--remex-clean", "--remex-yes", "-k", "first", "-rs")
    left.assert_outcomes(skipped=2)
    left.stdout.fnmatch_lines(["*second[[]a=1-b=?]*has not ended and may need its files*"])
    chain.release_waiting()
    chain.wait()
    states = shown_states(chain.pytest("--remex-status", "-v", "-k", "second"))
    assert set(states.values()) == {"COMPLETED"}
    chain.pytest("--remex-clean", "--remex-yes", "-k", "first")
    assert not [path for path in chain.run_directories() if "_first_" in path.name]


def test_a_removed_upstream_is_not_a_reason_to_repeat_what_came_after_it(chain):
    """A retry runs an upstream again whose outputs were removed, and no completed run after it."""
    chain.ran("-k", "first or second")
    chain.pytest("--remex-clean", "--remex-yes", "-k", "first")
    collected = chain.pytest("--remex-collect", "-k", "second")
    collected.stdout.fnmatch_lines(["*'result.txt' of first[[]a=1] is lost: removed with*"])
    plan = shown_states(chain.pytest("--remex-plan", "-v", "--remex-retry", "-k", "second"))
    again = shown_states(chain.submit("-v", "--remex-retry", "-k", "second"))
    wanted = ["first[a=1]", "first[a=2]"]
    assert [name for name, word in plan.items() if word == "RETRY"] == wanted
    assert [name for name, word in again.items() if word == "SUBMITTED"] == wanted


def test_selection_brings_upstreams(chain):
    """Submit adds the upstreams of a selection, by -k or by file."""
    chain.write("more_sweep.py", MORE)
    chain.git("config", "core.excludesFile", str(chain.write("ignore", "more_sweep.py\nignore\n")))
    states = shown_states(chain.submit("-v", "-k", "third and a:1"))
    assert states == dict.fromkeys(
        [
            "first[a=1]",
            "second[a=1-b=1]",
            "third[a=1-b=1]",
            "second[a=1-b=2]",
            "third[a=1-b=2]",
        ],
        "SUBMITTED",
    )
    chain.wait()
    result = chain.submit("-v", "more_sweep.py")
    result.stdout.fnmatch_lines(
        ["sweeps.py::first[[]a=1] ALREADY*", "more_sweep.py::more[[]a=1-d=1] SUBMITTED*"]
    )
    assert "more_sweep.py::first" not in result.stdout.str()
    everything = chain.pytest(
        "--collect-only", "-q", "--remex-status", "more_sweep.py", "sweeps.py"
    )
    assert "more_sweep.py::first" not in everything.stdout.str()
    assert "sweeps.py::first[a=1]" in everything.stdout.str()


def test_all_again_of_a_selection(chain):
    """--remex-retry=all repeats what was selected, and not the upstreams that it needs."""
    chain.submit()
    chain.wait()
    result = chain.submit("-v", "-k", "third and a:1", "--remex-retry=all")
    assert shown_states(result) == {
        "first[a=1]": "ALREADY SUBMITTED",
        "second[a=1-b=1]": "ALREADY SUBMITTED",
        "second[a=1-b=2]": "ALREADY SUBMITTED",
        "third[a=1-b=1]": "SUBMITTED",
        "third[a=1-b=2]": "SUBMITTED",
    }


MORE = """
from pytest_remex import sweep
from sweeps import first

@sweep({"d": [1]}, after=first)
def more(experiment):
    (experiment.path / "input.txt").write_text("more\\n")
"""


def test_collect_of_the_last_stage(chain):
    """A collect of one stage judges only it, shows the upstream runs, and uses their measures."""
    chain.ran()
    chain.pytest("--remex-collect", "-k", "first")
    result = chain.pytest("--remex-collect", "-v", "-k", "second and a:1")
    assert set(shown_states(result)) == {"second[a=1-b=1]", "second[a=1-b=2]"}
    result.stdout.fnmatch_lines(["upstream, not judged: sweeps.py::first?a=1? COMPLETED job *"])
    assert [row["first.size"] for row in rows(chain, "second")] == ["8", "8"]
    before = chain.jobs()
    chain.pytest("--remex-cancel", "-k", "second")
    assert chain.jobs() == before


def test_collect_by_several_processes(chain):
    """Each process has the upstream runs of what it judges, though others judge those."""
    pytest.importorskip("xdist")
    chain.ran()
    result = chain.pytest("-p", "xdist", "--remex-collect", "-v", "-n", "2")
    assert result.ret == 0
    assert list(shown_states(result).values()) == ["PASSED"] * 10
    found = {stage: rows(chain, stage) for stage in ("first", "second", "third")}
    chain.pytest("--remex-collect", "-o", "cache_dir=other")
    assert found == {stage: rows(chain, stage) for stage in found}
    assert [row["second.both"] for row in found["third"]] == ["a=1", "a=1", "a=2", "a=2"]


def test_what_is_the_same(chain):
    """Another patch of the upstream, or another file brought, makes another experiment."""
    chain.ran("-k", "second and b:1")
    assert set(shown_states(chain.submit("-v", "-k", "second and b:1")).values()) == {
        "ALREADY SUBMITTED"
    }
    chain.edit(
        "sweeps.py", 'bring("result.txt", "begin/start.txt")', 'bring("result.txt", "start")'
    )
    states = shown_states(chain.submit("-v", "-k", "second and b:1"))
    assert [states[f"first[a={a}]"] for a in (1, 2)] == ["ALREADY SUBMITTED"] * 2
    assert states["second[a=1-b=1]"] == "SUBMITTED"
    chain.edit("sweeps.py", 'f"first {', 'f"First {')
    states = shown_states(chain.submit("-v", "-k", "second and b:1"))
    assert set(states.values()) == {"SUBMITTED"}


def test_build_once(empty_project):
    """A sweep without dimensions builds; the grid after it brings the program, in each run."""
    project = empty_project
    project.write("src/code.c", "one\n")
    project.commit(build_sbatch=BUILD, run_sbatch=RUN)
    project.sweeps(GRID)
    project.ran()
    assert project.pytest("--remex-collect").ret == 0
    assert sum("build" in path.name for path in project.run_directories()) == 1
    project.commit(input_txt="another base\n")
    states = shown_states(project.submit("-v", "--remex-new-base"))
    assert states.pop("build") == "ALREADY SUBMITTED"
    assert set(states.values()) == {"SUBMITTED"}


BUILD = "#!/bin/sh\n#SBATCH -o job.out\nmkdir bin; echo 'cat input.txt' > bin/code\n"
RUN = "#!/bin/sh\n#SBATCH -o job.out\nsh bin/code > out\n"
GRID = """
from pytest_remex import sweep

@sweep(inputs=["src/**"], script="build.sbatch")
def build(experiment): ...

@sweep({"n": [1, 2, 3]}, after=build, fetch=["out"])
def grid(experiment):
    with open("input.txt", "a") as file:
        file.write(f"{experiment.config['n']}\\n")
    experiment.upstream.bring("bin/code")
    run = yield
    assert str(experiment.point["n"]) in (run.path / "out").read_text()
"""


@pytest.mark.parametrize(
    ("sweeps", "said"),
    [
        (
            '@sweep({"a": [1]}, after=one)\ndef two(experiment): ...',
            "'a' is a dimension here and in*'one'*",
        ),
        (
            "@sweep(after=one, name='one')\ndef two(experiment): ...",
            "*comes after a sweep of its own name*",
        ),
        (
            "@sweep(after='one')\ndef two(experiment): ...",
            "after='one': write the name of a sweep function*",
        ),
        (
            "@sweep()\ndef two(experiment): experiment.upstream",
            "sweep two has no after=: it comes after no other",
        ),
        (
            "@sweep(after=one)\ndef two(experiment): experiment.upstream.upstream",
            "sweep one comes after no other: it has no after=",
        ),
        (
            "@sweep(after=one)\ndef two(experiment): experiment.upstream.bring(3)",
            "bring: 3 must be a path*",
        ),
    ],
)
def test_refused(empty_project, sweeps, said):
    """A name in both stages, a cycle, and an upstream that is no sweep or not there are refused."""
    first = 'from pytest_remex import sweep\n\n@sweep({"a": [1]})\ndef one(experiment): ...\n\n'
    (empty_project.path / "sweeps.py").write_text(first + sweeps + "\n")
    result = empty_project.pytest("--remex-plan")
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{said}*"])


@pytest.mark.parametrize(
    "target", ["../x", "/x", ".remex/x", "notes/about", "notes", "input.txt/x"]
)
def test_refused_targets(chain, target):
    """Paths that leave the run directory, or conflict with its files, are refused at plan."""
    chain.edit("sweeps.py", '"begin/start.txt"', repr(target))
    result = chain.pytest("--remex-plan", "-k", "second and a:1 and b:1")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*bring: *"])


def test_an_upstream_on_a_branch_of_its_own(chain):
    """If the upstream's branch moves, all stages are ON ANOTHER BASE; an edited stage is new."""
    chain.git("branch", "old")
    chain.commit(new_txt="n\n")
    chain.edit("sweeps.py", '@sweep({"a": [1, 2]}', '@sweep({"a": [1, 2]}, branch="old"')
    chain.ran("-k", "first or second")
    chain.edit("sweeps.py", 'f"second {', 'f"second try {')
    plan = shown_states(chain.pytest("--remex-plan", "-v", "-k", "first or second"))
    assert {name.partition("[")[0]: word for name, word in plan.items()} == {
        "first": "ALREADY SUBMITTED",
        "second": "NEW",
    }
    chain.edit("sweeps.py", 'f"second try {', 'f"second {')
    chain.git("branch", "--force", "old", "main")
    submit = shown_states(chain.submit("-v", "-k", "first or second"))
    assert set(submit.values()) == {"ON ANOTHER BASE"}
    assert len(chain.jobs()) == 6
