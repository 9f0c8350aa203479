"""What `git diff-tree` prints about trees, here and in the clone on the cluster."""

from typing import Iterator, NamedTuple, Tuple

DIFF_TREE = (
    *("diff-tree", "-r", "-z", "--raw", "--full-index"),
    *("--no-renames", "--no-ext-diff", "--ignore-submodules=none"),
)
"""The command; two commits or trees follow, or `--stdin` for pairs of trees."""
ABSENT = b"000000"
"""The mode of a path that a tree does not have."""


class TreeDifference(NamedTuple):
    """A path that differs between two trees: its modes, and the ids of its blobs."""

    path: bytes
    old_mode: bytes
    mode: bytes
    old_blob: bytes
    blob: bytes


def read_differences(output: bytes) -> Iterator[Tuple[Tuple[str, str], TreeDifference]]:
    r"""Yield each difference with the pair of trees that it is in; without `--stdin`, none.

    A header is `old new\n`; a row is `:mode mode blob blob letter\0path\0`.
    """
    pair, position = ("", ""), 0
    while position < len(output):
        if output[position : position + 1] != b":":
            end = output.index(b"\n", position)
            old, new = output[position:end].decode("ascii").split()
            pair, position = (old, new), end + 1
            continue
        middle = output.index(b"\0", position)
        end = output.index(b"\0", middle + 1)
        facts = output[position + 1 : middle].split(b" ")
        yield pair, TreeDifference(output[middle + 1 : end], *facts[:4])
        position = end + 1
