"""The stream that carries files to a client that has no rsync to use: see agent.sender."""

import hashlib
import struct
from typing import BinaryIO

HEADER = struct.Struct(">IQqQ")
"""A file's number in the request, its size, its time of modification, and where its rest begins."""
LAST = 0xFFFFFFFF
"""The number after the last file."""
LENGTH = struct.Struct(">I")
"""The length of a piece; with the bit `PACKED` that of a piece that zlib has packed."""
PACKED = 1 << 31
NO_BYTES = LENGTH.pack(0)
"""The piece that ends a file."""
PIECE = 1 << 16
"""Bytes of the largest piece, unpacked."""


def digest_of_start(file: BinaryIO, size: int) -> str:
    """Return the digest of a file's first `size` bytes."""
    digest = hashlib.blake2b(digest_size=16)
    file.seek(0)
    while size > 0:
        piece = file.read(min(size, 1 << 20))
        if not piece:
            break
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()
