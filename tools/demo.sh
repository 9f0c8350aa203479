#!/bin/sh
# Launch the example's sweep on this machine, wait for it, collect it, and say where things lie.
set -eu

bin=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/remex-demo-XXXXXX")

cp -R "$here/example_project/." "$scratch"
cd "$scratch"
git init --quiet
git add --all
git -c user.name=demo -c user.email=demo@localhost commit --quiet --message "Example project"

step() {
    printf '\n$ %s\n' "$*"
    "$bin/$@"
}

step pytest sweeps.py --remex-submit
step pytest sweeps.py --remex-status --remex-wait
step pytest sweeps.py --remex-collect

printf '\nThe project, with its runs and launch records, is in %s\n' "$scratch"
