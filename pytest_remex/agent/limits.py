"""The limits that `ulimit` sets, mostly in a login file: need little, and name the one reached."""

import errno
import os
import resource
import signal
import threading
from typing import Optional, Sequence, Tuple

MEMORY, FILES, PROCESSES, SIZE, TIME = "v", "n", "u", "f", "t"
_LIMITS = {
    MEMORY: (resource.RLIMIT_AS, 1024, " kB"),
    FILES: (resource.RLIMIT_NOFILE, 1, " open files"),
    PROCESSES: (resource.RLIMIT_NPROC, 1, " processes"),
    SIZE: (resource.RLIMIT_FSIZE, 1024, " kB"),
    TIME: (resource.RLIMIT_CPU, 1, " s"),
}
"""The limits by the letter of bash's `ulimit`: the system's number, a unit in bytes, its name."""
_BY_ERROR = {
    errno.EAGAIN: (PROCESSES, MEMORY),
    errno.EFBIG: (SIZE,),
    errno.EMFILE: (FILES,),
    errno.ENOMEM: (MEMORY,),
}
_BY_SIGNAL = {signal.SIGXCPU: (TIME,), signal.SIGXFSZ: (SIZE,)}
_DIED = "died of signal %d"
"""How git says that one of its programs was ended."""
_NO_THREAD = "can't start new thread"
_STACK = 2 << 20
_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's malloc.h."""


def need_little_memory() -> None:
    """Let a thread reserve few addresses, if there is a limit on them.

    Else its stack reserves 8 MB, and what it allocates 64 MB or more with glibc.
    """
    if _value(MEMORY) is None:
        return
    threading.stack_size(_STACK)
    try:
        import ctypes  # noqa: PLC0415 - rarely needed, and some builds of Python lack it

        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)
    except (ImportError, OSError, AttributeError):
        return


def shortage(error: BaseException) -> Optional[str]:
    """Return what the agent lacks, the limits and the fix; None if the error has another cause."""
    letters = _letters(error)
    if not letters:
        return None
    what = "the agent got no more memory" if isinstance(error, MemoryError) else str(error)
    fix = "raise it in the login files there, end programs of yours there, or use another node"
    return f"{what}{_values(letters)}: {fix}"


def with_limits(message: str) -> str:
    """Return a program's message with the limits that it may be about."""
    texts = {os.strerror(number): letters for number, letters in _BY_ERROR.items()}
    texts.update({_DIED % number: letters for number, letters in _BY_SIGNAL.items()})
    about = [letter for text, letters in texts.items() if text in message for letter in letters]
    return message + _values(about)


def ended(code: int) -> str:
    """Return how a program ended, for one that said nothing."""
    return f"exit code {code}" if code >= 0 else with_limits(_DIED % -code)


def _letters(error: BaseException) -> Tuple[str, ...]:
    if isinstance(error, MemoryError):
        return (MEMORY,)
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return (PROCESSES, MEMORY)
    return _BY_ERROR.get(error.errno or 0, ()) if isinstance(error, OSError) else ()


def _values(letters: Sequence[str]) -> str:
    limits = [(letter, _value(letter), _LIMITS[letter][2]) for letter in letters]
    texts = [f"`ulimit -{letter}` is {value}{unit}" for letter, value, unit in limits if value]
    return f" ({', '.join(texts)})" if texts else ""


def _value(letter: str) -> Optional[int]:
    """Return a limit as `ulimit` prints it; None if there is none."""
    number, unit, _ = _LIMITS[letter]
    soft, _ = resource.getrlimit(number)
    return None if soft == resource.RLIM_INFINITY else soft // unit
