"""Texts that readers and patchers of namelists stumble over, one a hazard, and what is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Hazard:
    """A file, what a Fortran read of `&engine` sets, and what a patch makes of the file."""

    name: str
    before: bytes
    read: dict[str, Any]
    patch: dict[str, Any] | None = None
    after: bytes | None = None
    warns: str | None = None


HAZARDS = [
    Hazard(
        "a name that ends another name, and an assignment in a comment",
        b"&engine\n  core_mass = 0.4 ! before: mass = 12\n  mass = 8\n/\n",
        {"core_mass": 0.4, "mass": 8},
        {"mass": 8.25},
        b"&engine\n  core_mass = 0.4 ! before: mass = 12\n  mass = 8.25\n/\n",
    ),
    Hazard(
        "a setting in a comment is none",
        b"&engine\n  ! mass = 40\n  alpha = 2\n/\n",
        {"alpha": 2},
        {"engine.mass": 41},
        b"&engine\n  ! mass = 40\n  alpha = 2\n  mass = 41\n/\n",
    ),
    Hazard(
        "the same name twice: the last counts",
        b"&engine\n  alpha = 1.6 ! old\n  Alpha = 1.8 ! new\n/\n",
        {"alpha": 1.8},
        {"alpha": 2.0},
        b"&engine\n  alpha = 1.6 ! old\n  Alpha = 2.0 ! new\n/\n",
    ),
    Hazard(
        "elements, with blanks in the subscript",
        b"&engine\n  w(1) = 3d2\n  w(  5 )=4d2 ! five\n/\n",
        {"w(1)": 300.0, "w(5)": 400.0},
        {"w(5)": 0.5},
        b"&engine\n  w(1) = 3d2\n  w(  5 )=0.5 ! five\n/\n",
    ),
    Hazard(
        "a new element",
        b"&engine\n  w(3) = 6\n/\n",
        {"w(3)": 6},
        {"w(4)": 7},
        b"&engine\n  w(3) = 6\n  w(4) = 7\n/\n",
    ),
    Hazard(
        "a whole section with one value sets one element",
        b"&engine\n  w(:) = -1\n  w(3) = 6\n/\n",
        {"w(1)": -1, "w(3)": 6},
        {"W(1)": 2},
        b"&engine\n  w(:) = -1\n  w(3) = 6\n  W(1) = 2\n/\n",
    ),
    Hazard(
        "a section with several values",
        b"&engine\n  w(3:5) = 1, 2, 4\n/\n",
        {"w(3)": 1, "w(4)": 2, "w(5)": 4},
        {"w(4)": 8},
        b"&engine\n  w(3:5) = 1, 2, 4\n  w(4) = 8\n/\n",
    ),
    Hazard(
        "a list with a repeat count and a null",
        b"&engine\n  w = , 2*1.25, , 9\n/\n",
        {"w(2)": 1.25, "w(3)": 1.25, "w(5)": 9},
        {"w": [1, 2]},
        b"&engine\n  w = 1, 2\n/\n",
    ),
    Hazard(
        "two dimensions, the first from 0",
        b"&engine\n  grid(0,3) = 5\n  grid( 2 , 1 ) = 6\n/\n",
        {"grid(0,3)": 5, "grid(2,1)": 6},
        {"grid(2,1)": 7},
        b"&engine\n  grid(0,3) = 5\n  grid( 2 , 1 ) = 7\n/\n",
    ),
    Hazard(
        "spellings of numbers",
        b"&engine\n mass = 2D-2\n alpha = 3.5d+1\n steps = +7\n w(1) = -.25E1\n w(2) = 4.5-2\n/\n",
        {"mass": 0.02, "alpha": 35.0, "steps": 7, "w(1)": -2.5, "w(2)": 0.045},
        {"alpha": 12},
        b"&engine\n mass = 2D-2\n alpha = 12\n steps = +7\n w(1) = -.25E1\n w(2) = 4.5-2\n/\n",
    ),
    Hazard(
        "spellings of logicals",
        b"&engine\n on = .false\n hot = T\n lw(1) = .F.\n lw(2) = .True.\n lw(3) = false\n/\n",
        {"on": False, "hot": True, "lw(1)": False, "lw(2)": True, "lw(3)": False},
        {"on": True},
        b"&engine\n on = .true.\n hot = T\n lw(1) = .F.\n lw(2) = .True.\n lw(3) = false\n/\n",
    ),
    Hazard(
        "text that looks like syntax, and an apostrophe in a comment",
        b"&engine\n label = '&run=1/2!' ! it's / = fine\n title = \"don't\"\n tag = 'a''b'\n/\n",
        {"label": "&run=1/2!", "title": "don't", "tag": "a'b"},
        {"label": "x='1'/!&"},
        b"&engine\n label = 'x=''1''/!&' ! it's / = fine\n title = \"don't\"\n tag = 'a''b'\n/\n",
    ),
    Hazard(
        "empty text and leading blanks",
        b"&engine\n label = ''\n title = '   indented'\n/\n",
        {"label": "", "title": "   indented"},
        {"label": "full"},
        b"&engine\n label = 'full'\n title = '   indented'\n/\n",
    ),
    Hazard(
        "several settings on one line, also on the group's",
        b"&engine mass = 3 ! start\n alpha = 2, steps = 50\n/\n",
        {"mass": 3, "alpha": 2, "steps": 50},
        {"alpha": 1.5},
        b"&engine mass = 3 ! start\n alpha = 1.5, steps = 50\n/\n",
    ),
    Hazard(
        "a group on one line gets a setting",
        b"&engine steps = 9 /\n",
        {"steps": 9},
        {"engine": {"mass": 4}},
        b"&engine steps = 9\n   mass = 4\n/\n",
    ),
    Hazard(
        "a value that is missing",
        b"&engine\n  mass = ! to do\n  alpha = 2\n/\n",
        {"alpha": 2},
        {"mass": 6},
        b"&engine\n  mass = 6 ! to do\n  alpha = 2\n/\n",
    ),
    Hazard(
        "a list on several lines",
        b"&engine\n  w = 5, 6,\n      7\n  mass = 3\n/\n",
        {"w(1)": 5, "w(2)": 6, "w(3)": 7, "mass": 3},
        {"w": [1, 2.5, 3]},
        b"&engine\n  w = 1, 2.5, 3\n  mass = 3\n/\n",
    ),
    Hazard(
        "tabs",
        b"&engine\n\t\tmass\t=\t3\t! heavy\n/\n",
        {"mass": 3},
        {"engine.steps": 7},
        b"&engine\n\t\tmass\t=\t3\t! heavy\n\t\tsteps = 7\n/\n",
    ),
    Hazard(
        "CRLF line breaks",
        b"&engine\r\n  steps = 3 ! few\r\n/\r\n",
        {"steps": 3},
        {"engine.mass": 2},
        b"&engine\r\n  steps = 3 ! few\r\n  mass = 2\r\n/\r\n",
    ),
    Hazard(
        "no line break at the end",
        b"&engine\n  mass = 3\n/",
        {"mass": 3},
        {"mass": 4},
        b"&engine\n  mass = 4\n/\n",
        warns="no line break",
    ),
    Hazard(
        "the mark with which editors on Windows begin a file",
        b"\xef\xbb\xbf&engine\n  mass = 3\n/\n",
        {"mass": 3},
        {"mass": 4},
        b"\xef\xbb\xbf&engine\n  mass = 4\n/\n",
    ),
    Hazard(
        "bytes of two encodings in a comment",
        b"&engine\n  mass = 3 ! \xe2\x98\x83 na\xefve\n/\n",
        {"mass": 3},
        {"mass": 5},
        b"&engine\n  mass = 5 ! \xe2\x98\x83 na\xefve\n/\n",
    ),
    Hazard(
        "upper case, and a group whose name begins alike",
        b"&Engine_Room\n  mass = 9\n/\n&ENGINE\n  Steps = 1\n/\n",
        {"steps": 1},
        {"STEPS": 2},
        b"&Engine_Room\n  mass = 9\n/\n&ENGINE\n  Steps = 2\n/\n",
    ),
    Hazard(
        "a group that appears twice: only the first is read",
        b"&engine\n  mass = 3\n/\n&engine\n  mass = 4\n  steps = 5\n/\n",
        {"mass": 3},
        {"engine.steps": 6},
        b"&engine\n  mass = 3\n  steps = 6\n/\n&engine\n  mass = 4\n  steps = 5\n/\n",
        warns="also appears on line 1",
    ),
    Hazard(
        "prose and a lone quote outside groups",
        b"steps = 12, that's all\n! not &engine\n&engine\n  mass = 3\n/ don't stop\n",
        {"mass": 3},
        {"mass": 2},
        b"steps = 12, that's all\n! not &engine\n&engine\n  mass = 2\n/ don't stop\n",
    ),
]
"""The 25th hazard, a group without end, is refused: see `test_mesa_hazards.py`."""
