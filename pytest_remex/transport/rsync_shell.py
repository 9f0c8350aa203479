"""What rsync takes for ssh: it hands its own stdin and stdout to the process with the connection.

Run by path, with nothing but the standard library: `python -I -S bridge.py FD HOST WORD...`, where
FD is one end of a socket pair that rsync inherited. Ends with the exit code that comes back.
"""

import os
import socket
import sys


def main() -> int:
    """Give away the words of the remote command and both streams, and wait for its exit code."""
    with socket.socket(fileno=int(sys.argv[1])) as joint:
        socket.send_fds(joint, ["\0".join(sys.argv[3:]).encode()], [0, 1])
        os.close(0)
        os.close(1)
        return int(joint.recv(16) or 255)


if __name__ == "__main__":
    sys.exit(main())
