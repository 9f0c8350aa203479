"""Small files written whole or not at all, safe on NFS and against other agents."""

import contextlib
import errno
import functools
import itertools
import json
import os
import socket
import stat
from typing import Any, Dict, Iterator, Optional

_COUNT = itertools.count()
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


def unique() -> str:
    """Give a name that no other process or thread gives."""
    return f"{_host()}.{os.getpid()}.{next(_COUNT)}"


@functools.lru_cache(maxsize=1)
def _host() -> str:
    return socket.gethostname()


def read(path: str) -> Optional[str]:
    """Give a file's text, None when there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_json(path: str) -> Dict[str, Any]:
    """Give a file's JSON object, empty when there is none or it is damaged."""
    try:
        data = json.loads(read(path) or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def replace(path: str, text: str) -> None:
    """Write a file in one step: readers see the old one or the new one."""
    made = f"{path}.{unique()}"
    try:
        _write(made, text)
        os.replace(made, path)
    except BaseException:
        remove(made)
        raise


def create(path: str, text: str) -> bool:
    """Write a file in one step where there is none; False where there is one."""
    with _beside(path, text) as made:
        try:
            os.link(made, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            return _create_without_links(path, text)
        return True


def remove(path: str) -> bool:
    """Delete a file; False where there is none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True


def make_common(runs: str, path: str) -> None:
    """Make a folder below a runs folder, and those on the way, open to whom that one is open."""
    if os.path.isdir(path):
        return
    make_common(runs, os.path.dirname(path))
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, stat.S_IMODE(os.stat(runs).st_mode))


def listing(folder: str) -> Iterator[str]:
    """Give the names in a folder, none when there is no such folder."""
    with contextlib.suppress(FileNotFoundError):
        yield from os.listdir(folder)


@contextlib.contextmanager
def _beside(path: str, text: str) -> Iterator[str]:
    made = f"{path}.{unique()}"
    _write(made, text)
    try:
        yield made
    finally:
        remove(made)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)


def _create_without_links(path: str, text: str) -> bool:
    try:
        with open(path, "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True
