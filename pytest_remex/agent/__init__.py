"""The agent: the program that the plugin runs where the runs are, and how it is started there.

It needs python 3.6 or newer and the standard library; it imports nothing of pytest_remex. Its
sources travel over the connection and are imported there, from memory, as `remex_agent`.
"""

import base64
import json
import os
import zlib

BOOT = r"""
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import json
line = getattr(sys.stdin, "buffer", sys.stdin).readline().decode("utf-8")
if not line:
    sys.exit(0)
cut = "what was sent did not arrive whole: does a login file leave a program that reads its input?"
try:
    start = json.loads(line)
except ValueError:
    sys.exit(cut)
if sys.version_info < (3, 6):
    words = "python3 is %d.%d there; put 3.6 or newer on PATH" % sys.version_info[:2]
    error = {"kind": "python", "message": words}
    text = json.dumps({"id": 0, "error": error})
    sys.stdout.write("\n%s %d %s\n" % (start["nonce"], len(text), text))
    sys.exit(3)
import base64, importlib.abc, importlib.util, zlib
try:
    sources = json.loads(zlib.decompress(base64.b64decode(start["modules"])).decode("utf-8"))
except (ValueError, zlib.error):
    sys.exit(cut)
class Bundle(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    def find_spec(self, name, path=None, target=None):
        package, _, module = name.partition(".")
        if package == "remex_agent" and (module or "__init__") in sources:
            return importlib.util.spec_from_loader(name, self, is_package=not module)
    def is_package(self, name):
        return name == "remex_agent"
    def get_source(self, name):
        return sources[name.partition(".")[2] or "__init__"]
    def get_code(self, name):
        return self.source_to_code(self.get_source(name), "<%s>" % name)
sys.meta_path.insert(0, Bundle())
import remex_agent.main
remex_agent.main.start(start)
"""
"""The program for `python3 -u -c`: reads one line of JSON, {"nonce", "modules"}, then serves."""


def bundle() -> str:
    """Return the sources of the agent's modules for the start line, packed into one word."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sources = {}
    for name in sorted(os.listdir(folder)):
        module, suffix = os.path.splitext(name)
        if suffix == ".py":
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                sources[module] = file.read()
    return base64.b64encode(zlib.compress(json.dumps(sources).encode(), 9)).decode()
