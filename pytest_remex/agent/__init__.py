"""The agent: the program that the plugin runs on the cluster, and the code that starts it.

It needs Python 3.6 or newer and only the standard library; of this package it imports only
`common`. Both are sent over the connection and imported from memory, under their own names.
"""

import base64
import json
import os
import re
import zlib
from typing import Collection

PACKAGE = "pytest_remex"
SENT = ("agent", "common")
"""The packages that are sent to the cluster."""

BOOT = r"""
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import json
line = getattr(sys.stdin, "buffer", sys.stdin).readline().decode("utf-8")
if not line:
    sys.exit(0)
cut = "the agent did not arrive complete: does a login file start a program that reads its input?"
try:
    start = json.loads(line)
except ValueError:
    sys.exit(cut)
if sys.version_info < (3, 6):
    words = "python3 is %d.%d on the cluster; put 3.6 or newer on PATH" % sys.version_info[:2]
    text = json.dumps({"id": 0, "event": "Error", "kind": "python", "message": words})
    sys.stdout.write("\n%s %d %s\n" % (start["nonce"], len(text), text))
    sys.exit(3)
import importlib.machinery
if start["modules"].startswith("/"):
    package = sys.modules["pytest_remex"] = type(sys)("pytest_remex")
    package.__path__ = [start["modules"]]
else:
    import base64, zlib
    try:
        sources = json.loads(zlib.decompress(base64.b64decode(start["modules"])).decode("utf-8"))
    except (ValueError, zlib.error):
        sys.exit(cut)
    class Bundle:
        def find_spec(self, name, path=None, target=None):
            if name in sources:
                is_package = any(other.startswith(name + ".") for other in sources)
                return importlib.machinery.ModuleSpec(name, self, is_package=is_package)
        def create_module(self, spec):
            return None
        def exec_module(self, module):
            name = module.__name__
            exec(compile(sources[name], "<%s>" % name, "exec"), vars(module))
        def get_source(self, name):
            return sources[name]
    sys.meta_path.insert(0, Bundle())  # not made of importlib.abc, which takes 25 ms to import
importlib.import_module("pytest_remex.agent." + start.get("run", "serve")).start(start)
"""
"""The program for `python3 -u -c`: reads one line of JSON, {"nonce", "modules"}, then serves.

"modules" is a `bundle`, or on this machine the package's `folder`, where Python keeps the modules
compiled. With "run" the line names another module of the agent's than `serve`.
"""
SENDER = (
    "pytest_remex.agent.sender",
    "pytest_remex.common.files",
)
"""The modules that `sender` needs, besides their packages."""

_DOCSTRING = re.compile(r'^( *)r?"""(?=\S)(.*?)"""$', re.DOTALL | re.MULTILINE)
_LINT = re.compile(r" {2}# noqa: .*$", re.MULTILINE)

LOCAL = "local"
"""The package in `agent` for jobs on this machine, which no cluster needs."""


def folder() -> str:
    """Return the folder of the package, of which the agent on this machine imports its modules.

    It does not run the package's own `__init__`, which imports much that only the client needs.
    """
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def bundle(only: Collection[str] = ()) -> str:
    """Return the agent's sources, packed into one word for the start line.

    Args:
        only: The modules that are needed besides packages; all if none is named.

    Docstrings are left out, a quarter of all, and what only linters and this machine need. The
    package's own `__init__` is left empty: what it exports needs a newer Python than 3.6.
    """
    top, sources = folder(), {PACKAGE: ""}
    for sent in SENT:
        for here, _, names in sorted(os.walk(os.path.join(top, sent))):
            if os.path.basename(here) == LOCAL:
                continue
            package = ".".join([PACKAGE, *os.path.relpath(here, top).split(os.sep)])
            for name in sorted(names):
                module, suffix = os.path.splitext(name)
                full = package if module == "__init__" else f"{package}.{module}"
                if suffix == ".py" and (not only or full in only or full == package):
                    with open(os.path.join(here, name), encoding="utf-8") as file:
                        sources[full] = stripped(file.read())
    return base64.b64encode(zlib.compress(json.dumps(sources).encode())).decode()


def stripped(source: str) -> str:
    """Return a module's source with empty docstrings, no linters' comments, and the same lines.

    So line numbers in a traceback from the cluster are those of the module here. `ast` would take
    ten times as long as a regular expression, at each connection.
    """
    code = _LINT.sub("", source)
    return _DOCSTRING.sub(lambda found: found[1] + '""' + "\n" * found[2].count("\n"), code)
