"""Fetch the JavaScript that the report carries, pinned and checked, into the package.

    python tools/vendor_report_libraries.py

`pytest_remex/report/vendor/libraries.json` names the npm packages, their versions, the hash of each
archive as npm states it, and the files taken from them, which are kept as they are. To update one,
change its version, and its integrity to what `npm view NAME@VERSION dist.integrity` says.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parent.parent / "pytest_remex" / "report" / "vendor"


def main() -> int:
    """Fetch every library; return 1 where an archive is not the pinned one."""
    for library in json.loads((VENDOR / "libraries.json").read_text("utf-8")):
        with tempfile.TemporaryDirectory() as folder:
            archive = download(f"{library['name']}@{library['version']}", Path(folder))
            found = integrity(archive)
            if found != library["integrity"]:
                print(f"{archive.name}: its hash is {found}, not {library['integrity']}")
                return 1
            take(archive, library["files"])
    return 0


def download(package: str, folder: Path) -> Path:
    """Download an npm package's archive into a folder, with the machine's npm."""
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True)
    (archive,) = folder.glob("*.tgz")
    return archive


def integrity(archive: Path) -> str:
    """Return a file's hash the way that npm states it."""
    return f"sha512-{base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()}"


def take(archive: Path, files: dict[str, str]) -> None:
    """Copy files out of an archive: from names in it to names below the vendor folder."""
    with tarfile.open(archive) as packed:
        for source, target in files.items():
            content = packed.extractfile(f"package/{source}")
            if content is None:
                raise FileNotFoundError(f"{source} is not in {archive.name}")
            (VENDOR / target).parent.mkdir(parents=True, exist_ok=True)
            (VENDOR / target).write_bytes(content.read())


if __name__ == "__main__":
    sys.exit(main())
