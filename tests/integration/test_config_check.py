"""The config is read back from the patched checkout before anything is sent."""

import pytest

MODES = [(), ("--remex-plan",), ("--remex-submit",)]
SWEEP = """
    import json
    from pytest_remex import sweep

    @sweep({{"a": [1, 2]}}, base_config={{"b": 5, "c": 6}}, config_file="{file}")
    def grid(experiment):
        path = experiment.path / "config.json"
        path.write_text(json.dumps({{"b": 5}} | {{"a": {value}}}))
    """


@pytest.fixture
def project_with_config(project):
    """Return a project with a config file."""
    project.write("config.json", '{"a": 0, "b": 5}')
    project.write("config.dat", "a 0")
    project.commit()
    return project


@pytest.mark.parametrize("mode", MODES)
def test_patch_that_forgets_a_parameter(project_with_config, mode):
    """A name that is there with another value is an error, and nothing is sent."""
    project = project_with_config
    project.sweeps(SWEEP.format(file="config.json", value="1"))
    result = project.pytest("sweeps.py", *mode, "-k", "a=2")
    result.assert_outcomes(failed=1, deselected=1)
    result.stdout.fnmatch_lines(
        ["*[[]a=2]: after the patch the config is not the one asked for: a: asked for 2, *has 1;*"]
    )
    assert not project.record_paths()


@pytest.mark.parametrize("mode", MODES)
def test_good_config(project_with_config, mode):
    """Names that the file does not have are reported once, not as an error."""
    project = project_with_config
    project.sweeps(SWEEP.format(file="config.json", value="experiment.config['a']"))
    result = project.pytest("sweeps.py", *mode)
    result.assert_outcomes(passed=2)
    assert result.stdout.str().count("config.json does not have c, so that") == 1


def test_nested_config(project):
    """Settings below a name of the base config are compared one by one."""
    project.write("config.json", '{"a": 1, "gas": {"gamma": 1.4, "name": "air"}}')
    project.commit()
    project.sweeps("""
        from pytest_remex import sweep

        @sweep(base_config={"gas": {"gamma": 1.5, "name": "air"}}, config_file="config.json")
        def grid(experiment):
            (experiment.path / "input.txt").write_text("a = 1")
        """)
    result = project.pytest("sweeps.py")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*one asked for: gas.gamma: asked for 1.5, *has 1.4; let *"])


@pytest.mark.parametrize("mode", MODES)
def test_misspelt_config_file(project_with_config, mode):
    """A config_file that is not in the checkout is an error that names similar ones."""
    project = project_with_config
    project.sweeps(SWEEP.format(file="confg.json", value="experiment.config['a']"))
    result = project.pytest("sweeps.py", *mode)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*config_file='confg.json' is not in the checkout *: did you mean config.json*"]
    )
    assert not project.record_paths()


@pytest.mark.parametrize("mode", MODES)
def test_config_file_that_no_reader_reads(project_with_config, mode):
    """A config_file that no reader reads is an error that names the hook."""
    project = project_with_config
    project.sweeps(SWEEP.format(file="config.dat", value="experiment.config['a']"))
    result = project.pytest("sweeps.py", *mode)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*no reader reads the config_file config.dat: *the hook pytest_remex_config*"]
    )
    assert not project.record_paths()


def test_config_hook_of_conftest(project_with_config):
    """A conftest's pytest_remex_config reads the checkout, as it reads a run directory."""
    project = project_with_config
    project.write(
        "conftest.py",
        """
        def pytest_remex_config(path, config_file):
            if config_file == "config.dat":
                return {"a": int((path / config_file).read_text().split()[1])}
        """,
    )
    project.sweeps(SWEEP.format(file="config.dat", value="1"))
    result = project.pytest("--remex-plan")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*a: asked for 1, the checkout has 0;*"])


def test_recorded_experiment_is_not_checked_again(project_with_config):
    """A submitted experiment stays submitted, even if a reader fails now."""
    project = project_with_config
    project.sweeps(SWEEP.format(file="config.json", value="experiment.config['a']"))
    project.submit()
    project.write(
        "conftest.py",
        """
        def pytest_remex_config(path, config_file):
            raise RuntimeError("not asked")
        """,
    )
    result = project.pytest("--remex-submit")
    result.stdout.fnmatch_lines(["2 already submitted*"])
