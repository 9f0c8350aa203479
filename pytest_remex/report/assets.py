"""The page's own templates, styles and scripts, from the files beside this one."""

from __future__ import annotations

from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pytest_remex.report.numbers import duration, shown
from pytest_remex.report.tones import tone


def environment() -> Environment:
    """Give the Jinja environment of the templates; all that it prints is escaped."""
    made = Environment(
        loader=PackageLoader("pytest_remex.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"duration": duration, "shown": shown, "tone": tone}
    return made


def asset(name: str) -> Markup:
    """Give the text of a file in `assets/`; being the package's own, it is not escaped."""
    file = files("pytest_remex.report").joinpath("assets", name)
    return Markup(file.read_text(encoding="utf-8"))  # noqa: S704 - see the docstring
