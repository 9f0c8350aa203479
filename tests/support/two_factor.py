"""A second factor for sshd: a code that PAM asks for after the key, with a PAM stack of its own."""

from __future__ import annotations

import shlex
from pathlib import Path

OPTIONS = {
    "UsePAM": "yes",
    "PermitRootLogin": "yes",
    "KbdInteractiveAuthentication": "yes",
    "AuthenticationMethods": "publickey,keyboard-interactive",
}
"""Lines of sshd_config: the key first, then what PAM asks, with the prompt `Password: `."""

STACK = """\
auth required pam_exec.so quiet expose_authtok {check}
auth required pam_permit.so
account required pam_permit.so
session required pam_permit.so
"""


def with_code(command: list[str], folder: Path, code: str) -> list[str]:
    """Wrap sshd's command so that PAM takes this code; files go to the folder.

    The stack replaces /etc/pam.d/sshd in a mount namespace that only this sshd sees.
    """
    check = folder / "check_code"
    check.write_text(f"#!/bin/sh\n[ \"$(tr -d '\\000')\" = {shlex.quote(code)} ]\n")
    check.chmod(0o755)
    stack = folder / "pam"
    stack.write_text(STACK.format(check=check))
    start = f'mount -n --bind {shlex.quote(str(stack))} /etc/pam.d/sshd && exec "$@"'
    return ["unshare", "--mount", "sh", "-c", start, "sh", *command]
