#!/bin/sh
# Install the Debian packages that the cluster and browser tests need; elsewhere say what they lack.
set -eu

PACKAGES="slurm-wlm munge openssh-client openssh-server rsync slurmdbd mariadb-server gfortran chromium chromium-driver git"
SHELLS="zsh fish tcsh ksh93u+m" # login shells that tests start; tcsh is csh too
PROGRAMS="slurmctld slurmd slurmdbd munged mariadbd ssh sshd rsync git gfortran"
POLICY=/usr/sbin/policy-rc.d

lacking_packages() {
    # shellcheck disable=SC2086 # one word a package
    installed=$(dpkg-query -W -f '${db:Status-Abbrev}${Package}\n' $PACKAGES $SHELLS 2>/dev/null || true)
    for package in $PACKAGES $SHELLS; do
        printf '%s\n' "$installed" | grep -qx "ii *$package" || printf '%s ' "$package"
    done
}

lacking_programs() {
    for program in $PROGRAMS; do
        PATH="$PATH:/usr/sbin:/sbin" command -v "$program" >/dev/null || printf '%s ' "$program"
    done
}

is_debian() { [ -r /etc/os-release ] && (. /etc/os-release && [ "${ID:-}" = debian ]); }

if ! is_debian || [ "$(id -u)" -ne 0 ]; then
    missing=$(lacking_programs)
    [ "$(id -u)" -eq 0 ] || missing="root $missing"
    [ -z "$missing" ] || echo "The cluster tests will skip; on this machine they lack: $missing"
    exit 0
fi

missing=$(lacking_packages)
[ -n "$missing" ] || exit 0

# Exit code 101 tells the packages' scripts to start no service: the tests run daemons of their own.
if [ ! -e "$POLICY" ]; then
    trap 'rm -f "$POLICY"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$POLICY"
    chmod 755 "$POLICY"
fi

export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # one word a package
apt-get install -y -qq --no-install-recommends $missing
