"""Neither the caller's git variables nor any git configuration changes the result."""

import os
import subprocess

import pytest

from pytest_remex.launch.push import ThroughOrigin
from pytest_remex.repo.git import Git

HOSTILE = {
    "advice.pushUpdateRejected": "true",
    "color.ui": "always",
    "color.push": "always",
    "commit.gpgSign": "true",
    "core.attributesFile": "{home}/attributes",
    "core.autocrlf": "true",
    "core.eol": "crlf",
    "core.excludesFile": "{home}/excludes",
    "core.fsmonitor": "{home}/program",
    "core.hooksPath": "{home}/hooks",
    "core.ignoreCase": "true",
    "core.logAllRefUpdates": "always",
    "core.pager": "{home}/program",
    "core.quotePath": "false",
    "core.safecrlf": "true",
    "core.splitIndex": "true",
    "core.untrackedCache": "true",
    "core.warnAmbiguousRefs": "false",
    "diff.external": "{home}/program",
    "diff.mnemonicPrefix": "true",
    "diff.noprefix": "true",
    "diff.renames": "copies",
    "fetch.prune": "true",
    "fetch.pruneTags": "true",
    "filter.upper.clean": "tr a-z A-Z",
    "filter.upper.smudge": "tr a-z A-Z",
    "gc.auto": "1",
    "gpg.program": "/bin/false",
    "i18n.commitEncoding": "latin1",
    "i18n.logOutputEncoding": "utf-16",
    "index.version": "4",
    "log.date": "human",
    "log.showSignature": "true",
    "maintenance.auto": "true",
    "pager.push": "true",
    "push.default": "matching",
    "push.followTags": "true",
    "push.gpgSign": "true",
    "push.pushOption": "ci.skip",
    "push.recurseSubmodules": "on-demand",
    "push.useForceIfIncludes": "true",
    "status.branch": "true",
    "status.showUntrackedFiles": "all",
    "status.short": "true",
    "submodule.recurse": "true",
    "tag.gpgSign": "true",
    "trace2.normalTarget": "true",
    "transfer.unpackLimit": "1",
    "user.useConfigOnly": "true",
    "worktree.useRelativePaths": "true",
}
IN_REPOSITORY = {
    "remote.origin.push": "+refs/*:refs/*",
    "remote.origin.mirror": "true",
    "remote.pushDefault": "elsewhere",
    "branch.main.pushRemote": "elsewhere",
    "alias.push": "!false",
    "core.sparseCheckout": "true",
}

VARIABLES = {
    "index": {"GIT_INDEX_FILE": ".git/index"},
    "repository": {"GIT_DIR": "{path}/.git"},
    "relative": {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_PREFIX": ""},
    "work tree": {"GIT_DIR": "{path}/.git", "GIT_WORK_TREE": "{path}"},
    "another's": {"GIT_DIR": "{other}/.git", "GIT_COMMON_DIR": "{other}/.git"},
    "another's work tree": {"GIT_WORK_TREE": "{other}"},
    "common": {"GIT_COMMON_DIR": "{other}/.git"},
    "objects": {
        "GIT_OBJECT_DIRECTORY": "{other}/.git/objects",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "{other}",
        "GIT_QUARANTINE_PATH": "{other}",
    },
    "namespace": {"GIT_NAMESPACE": "space"},
    "ceiling": {"GIT_CEILING_DIRECTORIES": "{path}"},
    "pathspecs": {"GIT_LITERAL_PATHSPECS": "1", "GIT_ICASE_PATHSPECS": "1"},
    "identity": {
        "GIT_AUTHOR_NAME": "Someone", "GIT_AUTHOR_EMAIL": "s@example.org",
        "GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_NAME": "Someone",
        "GIT_COMMITTER_EMAIL": "s@example.org", "GIT_COMMITTER_DATE": "nonsense",
    },
    "count": {
        "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.worktree",
        "GIT_CONFIG_VALUE_0": "{other}",
    },
    "parameters": {"GIT_CONFIG_PARAMETERS": "'core.bare'='true'"},
    "bad parameters": {"GIT_CONFIG_PARAMETERS": "nonsense", "GIT_CONFIG_COUNT": "nonsense"},
    "shallow": {"GIT_SHALLOW_FILE": "/dev/null", "GIT_GRAFT_FILE": "/dev/zero"},
    "replace": {"GIT_REPLACE_REF_BASE": "refs/heads/"},
    "trace": {"GIT_TRACE": "1", "GIT_TRACE2": "1", "GIT_TRACE_SETUP": "1"},
    "pager": {"GIT_PAGER": "false", "GIT_PAGER_IN_USE": "1", "GIT_EXTERNAL_DIFF": "false"},
    "attributes": {"GIT_ATTR_SOURCE": "HEAD", "GIT_ATTR_NOSYSTEM": "1"},
    "hash": {"GIT_DEFAULT_HASH": "sha256"},
}  # fmt: skip


@pytest.fixture
def hostile(tmp_path_factory):
    """Return a home whose git configuration would change results, and traces of its programs."""
    home = tmp_path_factory.mktemp("home")
    program = home / "program"
    program.write_text(f"#!/bin/sh\ntouch {home}/program-ran\nexit 1\n")
    program.chmod(0o755)
    (home / "hooks").mkdir()
    for name in ("pre-push", "post-checkout", "reference-transaction", "post-index-change"):
        (home / "hooks" / name).symlink_to(program)
    (home / "attributes").write_text("* text eol=crlf filter=upper working-tree-encoding=utf-16\n")
    (home / "excludes").write_text("*.txt\nkept*\n")
    for name, value in HOSTILE.items():
        setting(home / ".gitconfig", name, value.format(home=home))
    return home


def setting(file, name, value):
    """Write a setting into a configuration file."""
    subprocess.run(["git", "config", "--file", file, "--add", name, value], check=True)


@pytest.fixture
def other(tmp_path_factory):
    """Return another repository of the user's, with a commit, and something staged and unstaged."""
    folder = tmp_path_factory.mktemp("other")
    for command in (
        "git init -q -b main", "git config user.name A", "git config user.email a@example.org",
        "touch file staged", "git add file", "git commit -qm other", "git add staged",
    ):  # fmt: skip
        subprocess.run(command.split(), cwd=folder, check=True)
    return folder


def of_user(path):
    """Return every file of a repository that is the user's."""
    ours = ("remex-output", "cache", ".git/objects", "refs/remex/")
    return {
        str(file): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and not any(part in str(file) for part in ours)
    }


def git_variables():
    """Return this process's variables of git."""
    return {name: text for name, text in os.environ.items() if name.startswith("GIT_")}


def at_home(home, monkeypatch):
    """Let a folder be the user's home, also for git."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)


SWEEP = """
    from pytest_remex import sweep
    @sweep({"a": [1, 2]})
    def grid(experiment):
        (experiment.path / "input.txt").write_text(f"{experiment.config['a']}\\r\\n")
        (experiment.path / "kept.txt").write_text("new\\n")
        (experiment.path / "KEPT.txt").write_text("another\\n")
        (experiment.path / "n\\u00f6te.dat").write_text("new\\n")
        {more}
"""


def swept(project, more="pass"):
    """Write a sweep whose files depend on no configuration."""
    project.sweeps(SWEEP.replace("{more}", more))


@pytest.fixture
def plain(empty_project):
    """Return the commits that are made where nothing is set."""
    swept(empty_project)
    empty_project.submit()
    return empty_project.committed()


@pytest.mark.parametrize("names", VARIABLES.values(), ids=VARIABLES)
def test_variables(empty_project, plain, other, names, monkeypatch):
    """With any of git's variables set, commits are the same, and no repository is touched."""
    project = empty_project
    project.write("staged.txt", "staged\n")
    project.git("add", "staged.txt")
    before = of_user(project.path), of_user(other)
    with monkeypatch.context() as patched:
        for name, value in names.items():
            patched.setenv(name, value.format(path=project.path, other=other))
        results = [project.pytest(mode) for mode in ("sweeps.py", "--remex-plan")]
        results.append(project.pytest("--remex-submit", "--remex-retry=all"))
    for result in results:
        result.assert_outcomes(passed=2)
    assert (of_user(project.path), of_user(other)) == before
    assert project.committed() == plain * 2


def test_variables_that_a_patch_sets(empty_project, plain, other):
    """A patch that sets git's variables changes neither our commands nor the next patch's."""
    swept(
        empty_project,
        f"import os; assert 'GIT_DIR' not in os.environ; os.environ.update(GIT_DIR='{other}/.git', "
        f"GIT_INDEX_FILE='{other}/.git/index', GIT_SSH_COMMAND='false', GIT_WORK_TREE='{other}')",
    )
    before = of_user(other), git_variables()
    empty_project.submit("--remex-retry=all")
    assert (of_user(other), git_variables()) == before
    assert empty_project.committed() == plain * 2


def test_git_in_a_patch(empty_project, other, monkeypatch):
    """Git in a patch works on the checkout, whatever repository a hook named."""
    swept(
        empty_project,
        "import subprocess; experiment.config['a'] == 1 and subprocess.run("
        "['git', 'rm', '-q', 'notes/about'], cwd=experiment.path, check=True)",
    )
    before = of_user(other), of_user(empty_project.path)
    with monkeypatch.context() as patched:
        patched.setenv("GIT_DIR", f"{other}/.git")
        patched.setenv("GIT_INDEX_FILE", f"{other}/.git/index")
        empty_project.submit()
        assert os.environ["GIT_DIR"] == f"{other}/.git"
    assert (of_user(other), of_user(empty_project.path)) == before
    files = [empty_project.git("ls-tree", "-r", sha) for sha in empty_project.committed()]
    assert ["notes/about" in listed for listed in files] == [False, True]


@pytest.mark.parametrize(
    "commands",
    [
        "git rm -q notes/about",
        "git mv notes/about notes/moved",
        "git commit -qam theirs",
        "git checkout -qb branch-of-a-patch",
        "git stash -q",
        "git tag a-tag; git branch -f main HEAD; git update-ref refs/remotes/origin/x HEAD",
        "git config user.name theirs; git remote add theirs /nowhere",
        "touch $(git rev-parse --git-dir)/index.lock",
        "rm $(git rev-parse --git-dir)/index",
        "echo nonsense > .git",
    ],
)
def test_git_after_a_patch(empty_project, commands):
    """Whatever git a patch runs in the checkout, git finds it at the base in the next one."""
    swept(
        empty_project,
        "import os, subprocess; run = lambda line: subprocess.run(line, shell=True, check=True, "
        "cwd=experiment.path, capture_output=True, env=os.environ | {'GIT_AUTHOR_NAME': 'A', "
        "'GIT_COMMITTER_NAME': 'A', 'EMAIL': 'a@example.org'}).stdout.decode(); "
        f"run({commands!r}) if experiment.config['a'] == 1 else None; "
        "seen = run('git rev-parse --symbolic-full-name HEAD && git rev-parse HEAD && git "
        "diff-index --cached HEAD && git ls-files') if experiment.config['a'] == 2 else None; "
        "experiment.config['a'] == 2 and (experiment.path / 'seen.txt').write_text(seen)",
    )
    before = empty_project.refs()
    empty_project.submit()
    first, second = empty_project.committed()
    base, files = empty_project.git("rev-parse", "HEAD"), empty_project.git("ls-files")
    assert empty_project.git("show", f"{second}:seen.txt") == f"HEAD\n{base}\n{files}"
    assert empty_project.git("rev-parse", f"{first}^", f"{second}^") == f"{base}\n{base}"
    after = {name: sha for name, sha in empty_project.refs().items() if "/remex" not in name}
    assert after == before


@pytest.mark.parametrize("where", ["home", "repository", "named"])
def test_configuration(empty_project, plain, hostile, where, monkeypatch):
    """With a hostile configuration commits are the same, and none of its programs runs."""
    config = empty_project.path / ".git/config"
    if where == "home":
        at_home(hostile, monkeypatch)
    elif where == "named":
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(hostile / ".gitconfig"))
    else:
        config.write_text(config.read_text() + (hostile / ".gitconfig").read_text())
    for name, value in IN_REPOSITORY.items():
        setting(config, name, value)
    info = empty_project.path / ".git/info"
    info.mkdir(exist_ok=True)
    (info / "exclude").write_text("kept.txt\n")
    (info / "attributes").write_text("* eol=crlf filter=upper\n")
    (info / "sparse-checkout").write_text("/notes/\n")
    for mode in ("sweeps.py", "--remex-plan"):
        empty_project.pytest(mode).assert_outcomes(passed=2)
    empty_project.submit("--remex-retry=all")
    assert empty_project.committed() == plain * 2
    assert not (hostile / "program-ran").exists()
    assert not list((empty_project.path / ".git/logs").rglob("remex*"))


def test_replaced_and_grafted_commits(empty_project, plain):
    """A commit is what its id says: replacements and grafts are not followed."""
    project = empty_project
    base = project.git("rev-parse", "HEAD")
    tree = project.git("write-tree")
    fake = project.git("commit-tree", tree, "-m", "another date")
    project.git("replace", base, fake)
    project.write(".git/info/grafts", f"{base} {fake}\n")
    project.submit("--remex-retry=all")
    assert project.committed() == plain * 2


def refs(repository):
    """Return a repository's refs with their commits."""
    words = ["git", "-C", repository, "for-each-ref", "--format=%(refname) %(objectname)"]
    listed = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    return dict(line.split() for line in listed.splitlines())


@pytest.mark.parametrize("where", ["home", "repository"])
def test_push(empty_project, hostile, where, tmp_path_factory, monkeypatch):
    """Only our branch is pushed to origin, and deleted again, whatever push settings say."""
    project = empty_project
    origin = tmp_path_factory.mktemp("origin")
    project.git("init", "--quiet", "--bare", origin)
    project.git("remote", "add", "origin", origin)
    project.git("push", "--quiet", "origin", "main")
    project.git("tag", "--annotate", "private", "--message", "not to be published")
    project.git("branch", "secret")
    before = refs(origin)
    setting(origin / "config", "receive.advertisePushOptions", "true")
    setting(origin / "config", "core.hooksPath", str(origin / "hooks"))
    hook = origin / "hooks/pre-receive"
    hook.write_text('#!/bin/sh\ntest "${GIT_PUSH_OPTION_COUNT:-0}" = 0\n')
    hook.chmod(0o755)
    config = project.path / ".git/config"
    if where == "home":
        at_home(hostile, monkeypatch)
    else:
        config.write_text(config.read_text() + (hostile / ".gitconfig").read_text())
    for name, value in IN_REPOSITORY.items():
        setting(config, name, value)
    git = Git(project.path)
    tip = git.resolve("HEAD")
    through = ThroughOrigin(git, "grid_time_2026_01_01_00_00_00")
    ref = through.publish(tip).ref
    assert refs(origin) == {**before, ref: tip}
    assert ThroughOrigin(git, "grid_time_2026_01_01_00_00_00", [tip]).publish(tip).ref == ref
    through.withdraw()
    assert refs(origin) == before
    assert not (hostile / "program-ran").exists()


@pytest.mark.parametrize("without", ["git", "a readable ~/.gitconfig"])
def test_no_git(project, without, monkeypatch):
    """If git cannot be used, its message is shown; status works, and no verdict is changed."""
    project.ran()
    results = project.output / "grid/results.csv"
    if kept := without == "git":
        project.pytest("--remex-collect").assert_outcomes(passed=3)
        judged = results.read_text()
    with monkeypatch.context() as patched:
        if without == "git":
            patched.setenv("PATH", str(project.path))
        else:
            at_home(project.path, patched)
            project.write(".gitconfig", "[user\n")
        modes = [["--remex-plan"], ["--remex-submit"], ["--remex-collect", "--remex-fresh"]]
        refused = [project.pytest_alone(*mode) for mode in modes]
        status = project.pytest_alone("--remex-status")
    (project.path / ".gitconfig").unlink(missing_ok=True)
    for result in refused:
        text = result.stdout.str()
        assert "install git, and check" in text or "bad config line 1 in file" in text, text
        assert "Traceback" not in text
        assert "site-packages" not in text
    status.stdout.fnmatch_lines(["*COMPLETED 3*"])
    refused[-1].assert_outcomes(errors=3)
    assert results.read_text() == judged if kept else not results.exists()
    assert project.submit().parseoutcomes() == {"skipped": 3}
