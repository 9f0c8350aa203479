"""Find the radii of polytropes: stars whose pressure goes as a power of their density.

`polytropes` checks every model against the known radius, `plummer` only runs models to look at.
"""

import math

import pytest

from pytest_remex import sweep
from pytest_remex.extensions.mesa import patch_inlist

# The first zeros of the Lane-Emden functions: n = 0 and 1 are analytic; the others agree with
# S. Chandrasekhar (1939), An Introduction to the Study of Stellar Structure, table 4, to its five
# decimals (four for n = 0.5), and have further digits from an integration with 30 digits.
RADIUS = {
    0.0: math.sqrt(6),
    0.5: 2.7526980541,
    1.0: math.pi,
    1.5: 3.6537537362,
    2.0: 4.3528745959,
    2.5: 5.3552754590,
    3.0: 6.8968486194,
    3.5: 9.5358053442,
    4.0: 14.9715463488,
    4.5: 31.8364632447,
}


@sweep(
    {
        "polytropic_index": list(RADIUS),
        ("step_size", "history_interval"): [(1e-3, 50), (2.5e-4, 200)],
    },
    fetch=["LOGS/history.data", "slurm.out"],
    config_file="inlist_project",
)
def polytropes(experiment):
    """Find the surface of polytropes, with two step sizes that give histories of equal length."""
    patch_inlist(experiment.path / "inlist_project", experiment.config)
    run = yield
    surface = run.read("LOGS/history.data").iloc[-1]
    radius = RADIUS[experiment.config["polytropic_index"]]
    assert surface.theta == pytest.approx(0, abs=1e-10), "the model ended below its surface"
    assert surface.xi == pytest.approx(radius, abs=1e-8)
    return {
        "radius": surface.xi,
        "error": abs(surface.xi - radius),
        "mass": surface.mass,
        "central_condensation": surface.central_condensation,
    }


@sweep(
    {"maximum_xi": [10.0, 20.0, 40.0]},
    base_config={"polytropic_index": 5.0},
    fetch=["LOGS/history.data"],
)
def plummer(experiment):
    """Follow the polytrope of index 5, which has no surface, out to larger and larger radii."""
    patch_inlist(experiment.path / "inlist_project", experiment.config)
