"""A sweep over a config file of each kind: patched, compared before a launch, and after the run."""

import pytest

FILES = {
    "gyre.in": "&gas\n  gamma = 1.4 ! ratio\n/\n&mesh\n nx = 64, day = ' '\n/\n",
    "config.yaml": "gas:\n  gamma: 1.4  # ratio\nnx: 64\nday: 2020-01-01\n",
    "config.toml": "nx = 64\nday = 2020-01-01\n[gas]\ngamma = 1.4  # ratio\n",
    "config.json": '{"nx": 64, "day": "", "gas": {"gamma": 1.4}}\n',
    "config.json5": '{nx: 64, day: "", gas: {gamma: 1.4}}  // ratio\n',
    "config.ini": "[gas]\ngamma = 1.4  # ratio\n[mesh]\nnx = 64\nday = x\n",
    "athinput.gas": "<gas>\ngamma = 1.4  # ratio\n<mesh>\nnx = 64\nday = x\n",
}
SWEEP = """
    from pytest_remex import sweep
    from pytest_remex.config import patch_config

    BASE = {{"nx": 65, "day": "2021-02-03"}}

    @sweep({{"gas.gamma": [1.5, 2]}}, base_config=BASE, config_file="{name}")
    def grid(experiment):
        patch_config("{name}", {settings})
        run = yield
        assert run.config["gas.gamma"] == experiment.config["gas.gamma"]
        assert run.config["nx"] == 65
    """


@pytest.mark.parametrize("name", FILES)
def test_patched_and_read_back(project, name):
    """The config that ran is read back from a file of any kind, by the names of the sweep."""
    project.write(name, FILES[name])
    project.commit()
    project.sweeps(SWEEP.format(name=name, settings="experiment.config"))
    project.pytest("sweeps.py", "--remex-submit").assert_outcomes(passed=2)
    result = project.pytest("sweeps.py", "--remex-collect", "--remex-wait=60")
    result.assert_outcomes(passed=2)


@pytest.mark.parametrize("name", ["gyre.in", "modes.nml", "namelist.modes"])
def test_repeated_groups(project, name):
    """A group that repeats is read back by its number, and an array as a list."""
    project.write(name, "&mode\n l = 0\n/\n&mode\n l = 1\n w = 1, 2\n/\n")
    project.commit()
    project.sweeps(
        f"""
        from pytest_remex import sweep
        from pytest_remex.config import patch_config

        @sweep({{"mode(2).l": [2, 3]}}, base_config={{"w": [3, 4]}}, config_file="{name}")
        def grid(experiment):
            patch_config("{name}", experiment.config)
        """
    )
    result = project.pytest("sweeps.py")
    result.assert_outcomes(passed=2)
    assert "does not have" not in result.stdout.str()


@pytest.mark.parametrize("name", FILES)
def test_forgotten_parameter(project, name):
    """A parameter that the patch forgets is an error before anything is sent."""
    project.write(name, FILES[name])
    project.commit()
    project.sweeps(
        SWEEP.format(name=name, settings='{"gas.gamma": experiment.config["gas.gamma"]}')
    )
    result = project.pytest("sweeps.py")
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*the config is not the one asked for: nx: asked for 65, *has 64*"]
    )
