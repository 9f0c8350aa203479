"""File name patterns of `#SBATCH --output`, as `man sbatch` has them."""

import pytest

from pytest_remex.agent import patterns

FIELDS = patterns.fields_of("12", 3, "star", "ann", "node1.example.org")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("slurm-%j.out", "slurm-12.out"), ("%A_%a", "12_3"), ("%5j", "00012"), ("%20j", "0000000012"),
     ("%x-%u-%N-%n-%t-%s", "star-ann-node1-0-0-batch"), ("%%j", "%j"), ("%q", "%q"),
     ("a\\%j", "a%j"), ("", "")],
)  # fmt: skip
def test_patterns(pattern, name):
    """Each letter is filled in; a backslash turns filling off."""
    assert patterns.expand(pattern, FIELDS) == name
