"""What git prints about the difference of trees is read for any path."""

import os
import subprocess

from pytest_remex.common.tree_differences import ABSENT, DIFF_TREE, read_differences

PATHS = [b"a b", b":100644 x", b"line\nbreak", b"\xff\xfe"]


def git(folder, *words, text=b""):
    """Run git in a folder, and return its output."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, cwd=folder, input=text, check=True, stdout=-1).stdout


def test_differences_of_pairs_of_trees(tmp_path):
    """Each comes with its pair of trees, and a removed file has no mode."""
    git(tmp_path, "init", "-q")
    trees = []
    for content in ("one", "two", None):
        for path in PATHS:
            file = tmp_path / os.fsdecode(path)
            file.write_text(content, "ascii") if content else file.unlink()
        git(tmp_path, "add", "--all")
        trees.append(git(tmp_path, "write-tree").decode().strip())
    first, second, empty = trees
    text = f"{first} {second}\n{first} {empty}\n".encode()
    found = list(read_differences(git(tmp_path, *DIFF_TREE, "--stdin", text=text)))
    assert [(pair, each.path) for pair, each in found] == [
        (pair, path) for pair in ((first, second), (first, empty)) for path in sorted(PATHS)
    ]
    assert [each.mode == ABSENT for _, each in found] == [False] * 4 + [True] * 4
    assert len({each.old_blob for _, each in found}) == 1
    without_header = read_differences(git(tmp_path, *DIFF_TREE, first, second))
    assert [each for _, each in without_header] == [each for _, each in found[:4]]
