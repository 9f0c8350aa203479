#!/bin/sh
# Make docs/report.png anew: the report of the demo, as a browser shows it.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
index=$(sh "$here/tools/demo.sh" "$1" | sed -n 's/^open this file: //p')
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=10000 \
    --window-size=1280,1000 --screenshot="$here/docs/report.png" \
    "file://$(dirname "$index")/polytropes/report.html" >/dev/null 2>&1
rm -rf "$(dirname "$(dirname "$index")")"
