"""What a user would write by hand to submit N runs: each one program, run through one ssh.

They take the files from the clone, set one parameter, and submit; nothing is committed, recorded,
checked or held, so these are floors, not peers.
"""

from __future__ import annotations

from loopback import Loopback
from measured import Ran

LOOP = """\
set -eu
cd {clone}
files=$(git ls-files | cut -d/ -f1 | uniq)
for n in $(seq {count}); do
  run={runs}/run_$n
  mkdir $run
  cp -r $files $run
  sed -i "s/^ *initial_mass *=.*/  initial_mass = 1.$n/" $run/inlist_project
  (cd $run && sbatch --parsable run.sbatch)
done
"""

FILES = """\
import os, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

os.chdir({clone!r})
names = subprocess.check_output(["git", "ls-files"], text=True).split()
files = {{name: (open(name, "rb").read(), os.stat(name).st_mode) for name in names}}
inlist = files["inlist_project"][0].decode()


def write(n):
    folder = f"{runs}/run_{{n}}"
    for name, (data, mode) in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if name == "inlist_project":
            text = re.sub("(?m)^ *initial_mass *=.*", f"  initial_mass = 1.{{n}}", inlist)
            data = text.encode()
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, mode), "wb") as file:
            file.write(data)
    return folder
"""

SINGLE = """\
def run(n):
    subprocess.run(["sbatch", "--parsable", "run.sbatch"], cwd=write(n), check=True)


with ThreadPoolExecutor(4) as pool:
    list(pool.map(run, range({count})))
"""

ARRAY = """\
for n in range({count}):
    write(n)
wrapper = f"#!/bin/bash\\ncd {runs}/run_$SLURM_ARRAY_TASK_ID && exec ./run.sbatch\\n"
words = ["sbatch", "--parsable", "--array=0-{last}"]
subprocess.run(words, input=wrapper, cwd={runs!r}, text=True, check=True)
"""

BARE = """\
set -eu
cd {clone}
seq {count} | xargs -P {width} -I@ sbatch --parsable run.sbatch
"""


def bash_loop(site: Loopback, count: int) -> Ran:
    """Run a loop of mkdir, cp, sed and sbatch."""
    return site.ssh("bash", "-s", text=_filled(LOOP, site, count))


def python(site: Loopback, count: int) -> Ran:
    """Run one process that writes the files and keeps four sbatch running."""
    return site.ssh("python3", "-", text=_filled(FILES + SINGLE, site, count))


def python_array(site: Loopback, count: int) -> Ran:
    """Run one process that writes the files and submits one array."""
    return site.ssh("python3", "-", text=_filled(FILES + ARRAY, site, count))


def bare_sbatch(site: Loopback, count: int, width: int) -> Ran:
    """Run sbatch so many times, `width` at a time, in one folder."""
    return site.ssh("bash", "-s", text=_filled(BARE, site, count, width))


def _filled(pattern: str, site: Loopback, count: int, width: int = 1) -> str:
    clone, runs = str(site.project.clone), str(site.project.runs)
    return pattern.format(clone=clone, runs=runs, count=count, last=count - 1, width=width)
