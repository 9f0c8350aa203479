"""Real repositories."""

import os
import subprocess

import pytest

from pytest_remex.repo.git import Git


class Repository:
    """A repository on disk, and git in it."""

    def __init__(self, path, object_format="sha1"):
        self.path = path
        self.git("init", "--quiet", "--initial-branch=main", f"--object-format={object_format}")
        self.client = Git(path)

    def git(self, *words, text=b"", **variables):
        """Run git and return its output, stripped."""
        command = ["git", "-C", self.path, "-c", "user.name=A", "-c", "user.email=a@b", *words]
        environment = {**os.environ, **variables}
        done = subprocess.run(command, input=text, env=environment, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def tree(self, files):
        """Return the tree that git itself makes of files: mode and sha by path."""
        index = str(self.path / "other-index")
        lines = [f"{mode} {sha}\t".encode() + path for path, (mode, sha) in files.items()]
        text = b"".join(line + b"\0" for line in lines)
        (self.path / "other-index").unlink(missing_ok=True)
        self.git("update-index", "-z", "--index-info", text=text, GIT_INDEX_FILE=index)
        return self.git("write-tree", "--missing-ok", GIT_INDEX_FILE=index)

    def commit(self, **files):
        """Write files by their names, None to remove one; commit all, and return the commit."""
        for name, content in files.items():
            path = self.path / name
            path.unlink(missing_ok=True)
            if content is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture(params=["sha1", "sha256"])
def repository(tmp_path, request):
    """Return an empty repository of either object format."""
    return Repository(tmp_path, request.param)
