"""Text that tries to run a command, to leave its folder, or to act on a terminal."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hypothesis import strategies as st

ATTACKS = (
    "$(touch {canary})",
    "`touch {canary}`",
    "; touch {canary} #",
    "' ; touch {canary} ; '",
    '" ; touch {canary} ; "',
    "\n touch {canary} \n",
    "\r\n#SBATCH --output={canary}\n",
    "&& touch {canary} ||",
    "| tee {canary}",
    "> {canary}",
    "{canary}",
    "../../../../../../../../../..{canary}",
    "--output={canary}",
    "-o{canary}",
    "--upload-pack=touch {canary}",
    "ext::sh -c touch% {canary}",
    "!touch {canary}",
    "{{{{ ''.__class__ }}}} {canary}",
    "__import__('os').system('touch {canary}')",
    "<script>fetch('{canary}')</script>",
)
ODD = (
    "",
    " ",
    ".",
    "..",
    "~",
    "*",
    "-",
    "--",
    "%j %x %A",
    "%s %(x)s {0}",
    "a\x00b",
    "\x1b]0;title\x07\x1b[2J",
    "\u202e\u2066",
    "\ud800 \udc80",
    "\u2028\x85\x0b",
    "CON",
    ".git",
    ".remex",
    "é",
    "e\u0301",
    "a" * 300,
    "=1+1",
    "nan",
    "True",
)


def hostile(canary: Path) -> st.SearchStrategy[str]:
    """Return any text; much of it creates the file `canary` if it is ever run or opened."""
    attack = st.sampled_from(ATTACKS).map(lambda text: text.format(canary=canary))
    part = attack | st.sampled_from(ODD) | st.text(max_size=20)
    return st.lists(part, min_size=1, max_size=3).map("".join)


def file_names(canary: Path) -> st.SearchStrategy[str]:
    """Return names that a file can have, some of them hostile."""

    def name(text: str) -> str:
        plain = text.replace("/", "\u2215").replace("\x00", "0")
        data = plain.encode("utf-8", "replace")[:120]
        return data.decode("utf-8", "ignore")

    names = hostile(canary).map(name)
    return names.filter(lambda text: text.lower() not in {"", ".", "..", ".git", ".remex"})


def tree(folder: Path, *left_out: Path) -> dict[str, str]:
    """Return what lies below a folder, each file by its bytes, without some folders."""
    found = {}
    for path in folder.rglob("*"):
        if any(path == out or out in path.parents for out in left_out):
            continue
        if path.is_symlink():
            found[str(path)] = f"-> {path.readlink()}"
        elif path.is_file():
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[str(path)] = "folder"
    return found
