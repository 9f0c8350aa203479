"""File name patterns of `#SBATCH --output`, as `man sbatch` has them."""

import pytest

from pytest_remex.common import filenames

FIELDS = filenames.Fields("14", "12", "3", "star", "ann", "node1.example.org")


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("slurm-%j.out", "slurm-14.out"), ("%J", "14"), ("%A_%a", "12_3"), ("%5A", "00012"),
     ("%20A", "0000000012"),
     ("%x-%u-%N-%n-%t-%s", "star-ann-node1-0-0-batch"), ("%%j", "%j"), ("%q", "%q"),
     ("a\\%j", "a%j"), ("", "")],
)  # fmt: skip
def test_patterns(pattern, name):
    """Each letter is filled in; a backslash turns filling off."""
    assert filenames.expand(pattern, FIELDS) == name
