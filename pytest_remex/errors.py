"""The few kinds of error, each with a message that names the value and the fix."""


class RemexError(Exception):
    """Base of all errors that a user can fix; the message says how. Shown without a traceback."""


class SweepError(RemexError):
    """A sweep's decorator or its function cannot be used as written."""


class RepositoryError(RemexError):
    """Git failed, or the repository holds what cannot be used."""


class RemoteError(RemexError):
    """The cluster, the connection to it, or a file there cannot be used."""


class ConnectionLostError(RemoteError):
    """The connection broke or froze: the outcome of what ran there is unknown, not failed."""


class UnreachableError(RemoteError):
    """The cluster cannot be reached just now: later it may be."""


class RecordError(RemexError):
    """A launch record, or another file in the output folder, cannot be read or written."""


class ConfigError(RemexError):
    """A config file cannot be read, or a setting in it cannot be changed."""


class NamelistError(ConfigError):
    """A namelist cannot be read, or a setting in it cannot be changed."""


def first_line(error: BaseException) -> str:
    """Return one line that says what went wrong: a user's error by its message alone."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, RemexError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
