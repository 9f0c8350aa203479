"""Remove credentials from text that is shown or stored."""

import re

# greedy up to the last @: a password that is not percent-encoded may contain / and @
_IN_URL = re.compile(r"(\w[\w+.-]*://)\S*@")
_IN_QUERY = re.compile(
    r"(?i)\b((?:access|private|oauth|job)?_?(?:token|password|secret)=)[^&\s'\"]+"
)


def redact(text: str) -> str:
    """Return a text without the user names, passwords and tokens of the URLs in it.

    Example:
        >>> redact("unable to access 'https://me:p@ss/word@host/repo': 403")
        "unable to access 'https://***@host/repo': 403"

    """
    return _IN_QUERY.sub(r"\1***", _IN_URL.sub(r"\1***@", text))
