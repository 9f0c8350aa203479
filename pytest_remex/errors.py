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


class RecordError(RemexError):
    """A launch record, or another file in the output folder, cannot be read or written."""


class NamelistError(RemexError):
    """A namelist cannot be read, or a setting in it cannot be changed."""
