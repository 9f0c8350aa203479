"""The few kinds of error, each with a message that names the value and the mend."""


class RemexError(Exception):
    """Something that a user can mend; the message says what and how. Shown without a traceback."""


class SweepError(RemexError):
    """A sweep's decorator or its function cannot be used as written."""


class RepositoryError(RemexError):
    """Git, or what the repository holds, stands in the way."""


class RemoteError(RemexError):
    """The cluster, the connection to it, or what lies there stands in the way."""


class ConnectionLostError(RemoteError):
    """The connection broke or froze: what was under way there is unknown, not failed."""


class RecordError(RemexError):
    """A launch record, or another file in the output folder, cannot be read or written."""


class NamelistError(RemexError):
    """A namelist cannot be read, or a setting in it cannot be changed."""
