"""Tree ids, held against those that git writes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_remex.repo.trees import ObjectHash, Tree, TreeEntry

NAMES = st.sampled_from(
    [b"a", b"a.b", b"a-", b"a0", b"b", b"B", b" ", b"a\n", b"\xff", b"\xc3\xa9"]
)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map(b"/".join)
MODES = st.sampled_from(["100644", "100755", "120000", "160000"])
FILES = st.lists(st.tuples(PATHS, MODES, st.integers(0, 3)), max_size=12)
EXAMPLES = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def laid(files, more, width):
    """Return files and more of them: a file takes a folder's place, and the other way round."""
    found = dict(files)
    for path, mode, number in more:
        parts = path.split(b"/")
        above = {b"/".join(parts[:n]) for n in range(1, len(parts))}
        found = {
            each: facts
            for each, facts in found.items()
            if each not in above and not each.startswith(path + b"/")
        }
        found[path] = mode, str(number + 1) * width
    return found


def entries(files):
    return [TreeEntry(path, mode, sha) for path, (mode, sha) in files.items()]


@EXAMPLES
@given(FILES, FILES, st.data())
def test_as_git_writes_them(repository, first, second, data):
    """The id of any tree, and of any changed one, equals git's, for any order of changes."""
    width = len(repository.git("hash-object", "--stdin"))
    before = laid({}, first, width)
    after = laid(before, second, width)
    for path in data.draw(st.lists(st.sampled_from(sorted(after)))) if after else ():
        after.pop(path, None)
    tree = Tree(entries(before), ObjectHash("0" * width))
    assert tree.sha == repository.tree(before)
    removed = [TreeEntry(path) for path in before if path not in after]
    changed = [each for each in entries(after) if before.get(each.path) != (each.mode, each.sha)]
    changes = data.draw(st.permutations(removed + changed))
    assert tree.changed(changes) == repository.tree(after)
    assert tree.sha == repository.tree(before)


def test_file_and_folder_of_one_name(repository):
    """A file that replaces a folder removes all of it, and the other way round."""
    width = len(repository.git("hash-object", "--stdin"))
    one, other = ("100644", "1" * width), ("100755", "2" * width)
    tree = Tree(entries({b"d/x": one, b"d/y/z": one, b"f": one}), ObjectHash("0" * width))
    assert tree.changed(entries({b"d": other})) == repository.tree({b"d": other, b"f": one})
    assert tree.changed(entries({b"f/x": other})) == repository.tree(
        {b"d/x": one, b"d/y/z": one, b"f/x": other}
    )


def test_nothing_is_left(repository):
    """A folder without files disappears; without any files the tree is git's empty one."""
    empty = repository.git("hash-object", "-t", "tree", "--stdin")
    files = {b"a/b/c": ("100644", "1" * len(empty))}
    tree = Tree(entries(files), ObjectHash(empty))
    assert tree.changed([TreeEntry(b"a/b/c")]) == Tree([], ObjectHash(empty)).sha == empty
    assert tree.changed([TreeEntry(b"no/such/file")]) == tree.sha


@pytest.mark.parametrize("content", [b"", b"text\n", b"\0" * 5000])
def test_blob(repository, content):
    """The id of a file's bytes is git's."""
    sha = repository.git("hash-object", "--stdin", text=content)
    assert ObjectHash(sha).blob(content) == sha
