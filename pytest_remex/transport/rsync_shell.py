"""What rsync runs in place of ssh: it passes its stdin and stdout on to pytest-remex's process.

A standalone script, run by its path as `python -I -S rsync_shell.py FD HOST WORD...`: FD is one end
of a socket pair, inherited from rsync; the other end is `RsyncTunnel`'s. It exits with the exit
code that comes back.
"""

import os
import socket
import sys


def main() -> int:
    """Send the words of the remote command and both streams, and wait for the exit code."""
    with socket.socket(fileno=int(sys.argv[1])) as tunnel:
        socket.send_fds(tunnel, ["\0".join(sys.argv[3:]).encode()], [0, 1])
        os.close(0)
        os.close(1)
        return int(tunnel.recv(16) or 255)


if __name__ == "__main__":
    sys.exit(main())
