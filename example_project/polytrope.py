"""Integrate the Lane-Emden equation from the centre of a polytrope to its surface.

    theta'' + 2 theta' / xi + theta^n = 0,    theta(0) = 1,    theta'(0) = 0

Reads the Fortran namelist `inlist_project`, writes `LOGS/history.data` in MESA's layout, one row
for every `history_interval` steps and one for the surface, and prints its progress. The method is
the classical Runge-Kutta one with a fixed step, and Newton's for the last, shorter step: the one
that ends where theta is zero. Runs on python 3.6 or newer; the standard library is enough.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

SETTINGS = ("polytropic_index", "step_size", "history_interval", "maximum_xi")
COLUMNS = ("model_number", "xi", "theta", "dtheta_dxi", "mass", "central_condensation")
WIDTH = 28
SURFACE = 1e-10


def main() -> None:
    """Run the model that `inlist_project` describes."""
    settings = read_inlist(Path("inlist_project"))
    history = Path("LOGS/history.data")
    history.parent.mkdir(exist_ok=True)
    with history.open("w") as lines:
        lines.write(header(settings))
        for number, point in enumerate(models(settings), 1):
            lines.write(cells((number, *point)))
            xi, theta = point[:2]
            if number % 20 == 1:
                print(f"model {number:6d}   xi = {xi:15.12f}   theta = {theta:14.12f}", flush=True)
    print("surface" if abs(theta) < SURFACE else "maximum_xi", f"at xi = {xi:.12f}")


def read_inlist(path: Path) -> dict:
    """Read the numbers of a namelist, by name. Exits with a message where one is missing or bad."""
    lines = [line.partition("!")[0].partition("=") for line in path.read_text().splitlines()]
    found = {name.strip().lower(): value.strip(" ,") for name, equals, value in lines if equals}
    try:
        settings = {name: float(found[name].lower().replace("d", "e")) for name in SETTINGS}
    except (KeyError, ValueError) as error:
        sys.exit(f"{path}: missing, or not a number: {error}")
    if settings["polytropic_index"] < 0 or settings["step_size"] <= 0:
        sys.exit(f"{path}: polytropic_index must be at least 0, and step_size above 0")
    return settings


def models(settings: dict) -> Iterator:
    """Return xi, theta, theta', mass and central condensation, from the centre outwards."""
    n, interval = settings["polytropic_index"], max(1, int(settings["history_interval"]))
    for number, (xi, theta, slope) in enumerate(points(n, settings["step_size"])):
        last = theta < SURFACE or xi >= settings["maximum_xi"]
        if last or number % interval == 0:
            yield xi, theta, slope, -xi * xi * slope, -xi / (3 * slope)
        if last:
            return


def points(n: float, h: float) -> Iterator:
    """Return xi, theta and theta' after each step of length h; the last point is the surface."""
    xi, theta, slope = centre(n, h)
    while True:
        yield xi, theta, slope
        outer = step(n, xi, theta, slope, h)
        if outer[1] <= 0:
            break
        xi, theta, slope = outer
    for _ in range(8):
        xi, theta, slope = step(n, xi, theta, slope, -theta / slope)
    yield xi, theta, slope


def centre(n: float, xi: float) -> tuple:
    """Return the first point from the series about the centre, where the equation is singular."""
    a, b, c = -1 / 6, n / 120, -n * (8 * n - 5) / 15120
    theta = 1 + a * xi**2 + b * xi**4 + c * xi**6
    return xi, theta, 2 * a * xi + 4 * b * xi**3 + 6 * c * xi**5


def step(n: float, xi: float, theta: float, slope: float, h: float) -> tuple:
    """Advance by one Runge-Kutta step of fourth order."""
    middle, end = xi + h / 2, xi + h
    a = -(max(theta, 0.0) ** n) - 2 * slope / xi
    slope_b = slope + h / 2 * a
    b = -(max(theta + h / 2 * slope, 0.0) ** n) - 2 * slope_b / middle
    slope_c = slope + h / 2 * b
    c = -(max(theta + h / 2 * slope_b, 0.0) ** n) - 2 * slope_c / middle
    slope_d = slope + h * c
    d = -(max(theta + h * slope_c, 0.0) ** n) - 2 * slope_d / end
    return (
        end,
        theta + h / 6 * (slope + 2 * slope_b + 2 * slope_c + slope_d),
        slope + h / 6 * (a + 2 * b + 2 * c + d),
    )


def header(settings: dict) -> str:
    """Return the first six lines of a history: its settings, a blank line, its column names."""
    return (
        cells(range(1, len(SETTINGS) + 1))
        + cells(SETTINGS)
        + cells(settings[name] for name in SETTINGS)
        + "\n"
        + cells(range(1, len(COLUMNS) + 1))
        + cells(COLUMNS)
    )


def cells(values: Iterator) -> str:
    """Return a line of right-aligned cells, with all digits of the numbers."""
    texts = (f"{each:.16E}" if isinstance(each, float) else str(each) for each in values)
    return "".join(" " + text.rjust(WIDTH) for text in texts) + "\n"


if __name__ == "__main__":
    main()
