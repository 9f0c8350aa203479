"""The kinds of errors; each message names the value and the fix."""


class RemexError(Exception):
    """Base of all errors that a user can fix, as the message says. Shown without a traceback."""


class SweepError(RemexError):
    """A sweep's decorator or its function cannot be used as written."""


class RepositoryError(RemexError):
    """Git failed, or the repository contains something that cannot be used."""


class RemoteError(RemexError):
    """The cluster, the connection to it, or a file on it cannot be used."""


class ConnectionLostError(RemoteError):
    """The connection broke or froze: what ran on the cluster has an unknown outcome, not failed."""


class UnreachableError(RemoteError):
    """The cluster cannot be reached at the moment; it may be later."""


class RecordError(RemexError):
    """A launch record, or another file in the output folder, cannot be read or written."""


class ConfigError(RemexError):
    """A config file cannot be read, or a setting in it cannot be changed."""


class NamelistError(ConfigError):
    """A namelist cannot be read, or a setting in it cannot be changed."""


def first_line(error: BaseException) -> str:
    """Return one line that says what went wrong; for a `RemexError` only its message."""
    text = (str(error).splitlines() or [""])[0]
    if isinstance(error, RemexError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
