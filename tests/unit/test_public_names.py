"""The public names: every one is there, listed and explained, loaded or not."""

import re
import subprocess
import sys

import pytest

import pytest_remex.extensions.mesa  # noqa: F401 - both packages

PUBLIC = {
    "pytest_remex": (
        "Experiment Job JobState RemexError Remote Repo Run curves optional results runs sweep"
    ),
    "pytest_remex.extensions.mesa": (
        "EffectiveConfig InlistWarning KnownControls Origin Raw Restart RunFile "
        "TableWarning effective_config find_restart load_controls patch_inlist "
        "photo_folders read_history read_inlist read_namelists read_profile "
        "read_profiles_index remove stop_allowed"
    ),
}


def in_a_new_python(code):
    """Run code where nothing is loaded yet; return what it printed."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("package", PUBLIC)
def test_dir_lists_every_public_name(package):
    """`dir()` has the names before any of them is loaded, and `__all__` is these names."""
    names = PUBLIC[package].split()
    assert set(names) <= set(in_a_new_python(f"import {package} as it; print(*dir(it))").split())
    assert in_a_new_python(f"import {package} as it; print(*it.__all__)").split() == names


@pytest.mark.parametrize("package", PUBLIC)
def test_help_explains_every_public_name(package):
    """`help()` has an entry for each of the names, deferred ones too."""
    code = f"import pydoc, {package} as it; print(pydoc.render_doc(it, renderer=pydoc.plaintext))"
    shown = in_a_new_python(code)
    entries = set(re.findall(r"^    (?:class )?(\w+)\(", shown, re.MULTILINE))
    assert set(PUBLIC[package].split()) <= entries, shown


@pytest.mark.parametrize("package", PUBLIC)
def test_a_name_that_is_not_there_is_an_attribute_error(package):
    """A misspelled name is an AttributeError that names the package."""
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'resutls'"):
        sys.modules[package].resutls  # noqa: B018
    with pytest.raises(ImportError):
        exec(f"from {package} import resutls", {})  # noqa: S102 - a fixed text
