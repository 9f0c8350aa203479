#!/bin/sh
# shellcheck disable=SC2016,SC2089,SC2090 # the shells inside expand what is quoted here
#
# Run `make test`, or pytest with the arguments given, on another Debian, made in a folder.
#
#   sudo tools/debian.sh trixie                             all tests on Debian 13
#   sudo tools/debian.sh forky tests/unit tests/cluster/test_job.py -x
#
# Debian 13 (trixie) has Python 3.13 and Slurm 24.11; 14 (forky) has Python 3.14 and Slurm 26.05.
# REMEX_DEBIAN names a folder to keep that Debian in, so that the next run starts in seconds.
# It needs root, debootstrap and Debian's mirror (REMEX_MIRROR: another one).
set -eu

SCRIPT=/usr/share/debootstrap/scripts/sid # for every release since: an older debootstrap lacks them
PACKAGES=ca-certificates,git,gcc,iproute2,make,procps,python3,python3-dev,python3-venv
mirror=${REMEX_MIRROR:-http://deb.debian.org/debian}
checkout=$(cd "$(dirname "$0")/.." && pwd)

fail() {
    echo "tools/debian.sh: $1" >&2
    exit 2
}

[ $# -gt 0 ] || fail "name the release: sudo tools/debian.sh trixie"
release=$1
shift

[ "$(id -u)" -eq 0 ] || fail "it makes a Debian in a folder, which needs root: run it with sudo"
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt-get install debootstrap"

if [ -n "${REMEX_DEBIAN:-}" ]; then
    mkdir -p "$REMEX_DEBIAN"
    root=$(cd "$REMEX_DEBIAN" && pwd)
else
    root=$(mktemp -d "${TMPDIR:-/tmp}/remex-debian-XXXXXX")
    chmod 755 "$root" # its users other than root have to pass
    trap 'rm -rf --one-file-system "$root" "$root.log"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
fi

if [ ! -e "$root/.remex-made" ]; then
    debootstrap --variant=minbase --include="$PACKAGES" "$release" "$root" "$mirror" "$SCRIPT" >"$root.log" ||
        fail "debootstrap failed: $(tail -n 3 "$root.log")"
    rm -f "$root.log"
    touch "$root/.remex-made"
fi

# The machine's names and its certificates, so that the packages can be fetched.
cp -L /etc/hosts /etc/resolv.conf "$root/etc/"
cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"

# The checkout as it is, uncommitted changes included; the virtual environment there stays.
mkdir -p "$root/checkout"
find "$root/checkout" -mindepth 1 -maxdepth 1 ! -name .venv -exec rm -rf {} +
git -C "$checkout" ls-files -z --cached --others --exclude-standard --deduplicate |
    (cd "$checkout" && xargs -0 sh -c 'for f; do [ ! -e "$f" ] || printf "%s\0" "$f"; done' sh) |
    tar -C "$checkout" --null --files-from=- -cf - | tar -C "$root/checkout" -xf -

INSIDE='
    cd /checkout
    status=0 # this shell stays the first process: it reaps what the tests leave behind
    if [ $# -eq 0 ]; then
        make test || status=$?
        exit "$status"
    fi
    make .venv/.test
    sh tools/install_test_system.sh
    .venv/bin/python -m pytest "$@" || status=$?
    exit "$status"
'
export INSIDE

# In namespaces of its own: when the first process ends, all others and all mounts go with it.
unshare --mount --pid --fork --kill-child sh -eu -c '
    root=$1
    shift
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/dev"
    mkdir "$root/dev/pts" "$root/dev/shm"
    for device in null zero full random urandom tty; do
        touch "$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s fd/0 "$root/dev/stdin"
    ln -s fd/1 "$root/dev/stdout"
    ln -s fd/2 "$root/dev/stderr"
    exec chroot "$root" env HOME=/root TMPDIR=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        sh -eu -c "$INSIDE" sh "$@"
' sh "$root" "$@"
