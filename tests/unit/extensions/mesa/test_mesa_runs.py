"""Why a run ended, and what it can go on from."""

from __future__ import annotations

import os

from pytest_remex.extensions.mesa.runs import endings, last_photo, measures, photos

LOG = """\
 save photos/x050 for model      50
 save LOGS/profile3.data for model      60
 save photos/x100 for model     100
 termination code: max_age
 restarted
 save photos/x150 for model     150
 stop because star_age >= max_age
 termination code: xa_central_lower_limit
"""


def test_the_last_termination_code_is_a_column():
    """A job's output that was continued holds several; the last is why it ended."""
    assert endings(LOG) == {"termination_code": "xa_central_lower_limit"}
    gave_up = " terminated evolution: cannot find acceptable model\n"
    assert endings(gave_up) == {"terminated_evolution": "cannot find acceptable model"}


def test_another_program_s_output_has_no_columns(tmp_path):
    """A run that is not MESA's gets no measures."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").touch()
    assert measures("all done\nmy termination code: 3\n", tmp_path) == {}


def test_photos_are_listed_the_newest_last(tmp_path):
    """MESA's names wrap round, so time orders them."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for at, name in enumerate(["x950", "x000", "x050"]):
        (folder / name).touch()
        os.utime(folder / name, (at, at))
    assert photos(tmp_path) == ["x950", "x000", "x050"]
    assert measures("", tmp_path) == {"last_photo": "x050", "photos": 3}


def test_the_last_photo_is_the_one_that_the_output_names(tmp_path):
    """Photos need not be fetched: the output tells which were saved."""
    assert last_photo(LOG, tmp_path) == "x150"
    assert last_photo("nothing", tmp_path) is None
