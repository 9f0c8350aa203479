"""Submit and collect from scripts and notebooks, without pytest."""

from pytest_remex.launch.script import SubmittedJob, submit

__all__ = ["SubmittedJob", "submit"]
