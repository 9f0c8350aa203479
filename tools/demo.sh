#!/bin/sh
# Launch the example's sweeps on this machine, wait for them, collect them, and say what to open.
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

sweeps='sweeps.py sweep_mistakes.py'
step pytest $sweeps --remex-submit
# Two experiments of sweep_mistakes.py are meant to fail: 1 is pytest's exit code for that.
step pytest $sweeps --remex-status --remex-wait || [ $? -eq 1 ]
step pytest $sweeps --remex-collect || [ $? -eq 1 ]

printf '\nTwo experiments failed, as they should: that is what sweep_mistakes.py shows.\n'
printf 'open this file: %s\n' "$scratch/remex-output/index.html"
