"""Options that cannot be combined, and invalid values."""

import re

import pytest

MODIFIERS = {
    "--remex-retry": "--remex-plan or --remex-submit",
    "--remex-again": "--remex-plan or --remex-submit",
    "--remex-array": "--remex-bisect or --remex-plan or --remex-submit",
    "--remex-yes": "--remex-bisect or --remex-clean or --remex-collect or --remex-submit",
    "--remex-wait": "--remex-bisect or --remex-collect or --remex-status",
    "--remex-offline": "--remex-collect",
    "--remex-partial": "--remex-collect",
    "--remex-launch=x": " or ".join(
        f"--remex-{mode}" for mode in ("cancel", "clean", "collect", "log", "status")
    ),
    "--remex-only=runs": "--remex-clean",
    "--remex-json=x": " or ".join(
        f"--remex-{mode}"
        for mode in ("cancel", "clean", "collect", "doctor", "log", "plan", "status", "submit")
    ),
}
MODES = (
    "",
    "--remex-plan",
    "--remex-submit",
    "--remex-status",
    "--remex-collect",
    "--remex-cancel",
)


def refused(result, message):
    """Assert a usage error of one line."""
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])
    assert "Traceback" not in result.stdout.str() + result.stderr.str()


def test_modes_exclude_each_other(project):
    """Two modes are refused, and both named."""
    result = project.pytest("--remex-submit", "--remex-collect")
    refused(result, "ERROR: --remex-submit and --remex-collect cannot be combined*")
    assert not project.output.exists()


def test_an_array_is_no_pack(project):
    """A launch goes as array jobs or as packs, not as both."""
    result = project.pytest("--remex-submit", "--remex-array", "--remex-pack=2")
    refused(result, "ERROR: --remex-array and --remex-pack cannot be combined: choose one")
    assert not project.jobs()


@pytest.mark.parametrize(
    ("option", "modes"),
    [
        ("--remex-checkout", "plan"),
        ("--remex-note", "submit, bisect"),
        ("--remex-yes", "submit, collect, clean, bisect"),
        ("--remex-json", "all modes but dry run, bisect"),
        ("--remex-remote", "all modes"),
    ],
)
def test_help_names_the_modes(project, option, modes):
    """The help of each option begins with the modes that take it."""
    words = " ".join(project.pytest("--help").stdout.str().split())
    assert re.search(f"{option}(=[A-Z]+)? {modes}: ", words)


def test_the_same_mode_twice(project):
    """A mode may be named twice, as by addopts and by hand."""
    project.pytest("--remex-plan", "--remex-plan").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("modifier", "mode"),
    [
        (one, mode)
        for one, fitting in MODIFIERS.items()
        for mode in MODES
        if not mode or mode not in fitting
    ],
)
def test_modifiers_need_their_mode(project, modifier, mode):
    """A modifier with another mode, or with none, is refused, and its modes are named."""
    result = project.pytest("sweeps.py", *mode.split(), modifier)
    refused(
        result, f"ERROR: {modifier.partition('=')[0]} can only be used with {MODIFIERS[modifier]}"
    )


@pytest.mark.parametrize("option", ["--remex-array=0", "--remex-array=-1", "--remex-array=many"])
def test_array_takes_a_count(project, option):
    """The number of array tasks is a whole number above 0."""
    refused(
        project.pytest("sweeps.py", "--remex-submit", option), "*is not a whole number above 0*"
    )


@pytest.mark.parametrize("option", ["--remex-wait=-1", "--remex-wait=nan", "--remex-wait=soon"])
def test_wait_takes_seconds(project, option):
    """The time to wait is a number of seconds above 0."""
    result = project.pytest("sweeps.py", "--remex-status", option)
    refused(result, "*is not a number of seconds above 0*")


@pytest.mark.parametrize(
    "options", [("--remex-status", "--remex-wait"), ("--remex-submit", "--remex-array")]
)
def test_path_after_a_number(project, options):
    """A path that is taken for an option's number is refused with the place where it goes."""
    result = project.pytest(*options, "sweeps.py")
    refused(result, "*'sweeps.py' is not a *number *above 0; paths go before this option*")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("remex_confirm = many", "ERROR: remex_confirm = 'many': write a whole number"),
        *(
            (f"remex_rate = {each}", f"ERROR: remex_rate = {each!r}: write how many*")
            for each in ("0", "-1", "fast", "1e3", "nan")
        ),
        ("remex_layout = tree", "ERROR: remex_layout = 'tree': write links or flat"),
        (
            "remex_transport = carrier",
            "ERROR: remex_transport = 'carrier': write auto, fabric or openssh",
        ),
        ("remex_via = pigeon", "ERROR: remex_via = 'pigeon': write origin or connection"),
    ],
)
def test_ini_values(project, line, message):
    """An ini key's bad value is refused."""
    project.write("pytest.ini", f"[pytest]\n{line}\n")
    refused(project.pytest("--remex-plan"), message)


@pytest.mark.parametrize(
    ("lines", "missing"), [("", "remex_clone"), ("remex_clone = c\n", "remex_runs")]
)
def test_host_needs_places(project, lines, missing):
    """A host without a clone or a runs folder is refused, and the missing key named."""
    project.write("pytest.ini", f"[pytest]\nremex_host = user@machine\n{lines}")
    result = project.pytest("--remex-submit")
    assert result.ret != 0
    assert f"{missing} is not" in result.stdout.str() + result.stderr.str()
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
