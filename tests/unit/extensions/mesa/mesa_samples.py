"""Files as MESA lays them out, made for these tests."""

from __future__ import annotations

DEFAULTS = {
    "star/defaults/controls.defaults": "! mass = 3 is no default\n  initial_mass = 1\n\n"
    "  x_ctrl(1:20) = 0d0\n  Log_Directory = 'LOGS = no'\n",
    "star/defaults/controls_dev.defaults": "  new_thing = .false.\n",
    "kap/defaults/kap.defaults": "  Zbase = -1\n  shared = 1\n",
    "eos/defaults/eos.defaults": "  shared = 1\n",
    "astero/defaults/astero_search.defaults": "  chi2 = 0\n",
}
"""Defaults files of a small tree laid out as `$MESA_DIR`."""


def columns(names, rows, header=(("version_number", "'r1.2'"), ("initial_mass", "1.5D+01"))):
    """Write a text in MESA's layout."""
    names = names.split()
    lines = [
        " ".join(str(number) for number in range(1, len(header) + 1)),
        " ".join(name for name, _ in header),
        " ".join(value for _, value in header),
        "",
        "   ".join(str(number) for number in range(1, len(names) + 1)),
        "   ".join(names),
    ]
    return "\n".join(lines + [f"   {row}" for row in rows]) + "\n"
