"""Remove credentials from text that is shown or stored."""

import re

_WORD = re.compile(r"\S+")
_IN_QUERY = re.compile(
    r"(?i)\b((?:access|private|oauth|job)?_?(?:token|password|secret)=)[^&\s'\"]+"
)


def redact(text: str) -> str:
    """Return a text without the user names, passwords and tokens of the URLs in it.

    Example:
        >>> redact("unable to access 'https://me:p@ss/word@host/repo': 403")
        "unable to access 'https://***@host/repo': 403"

    """
    return _IN_QUERY.sub(r"\1***", _WORD.sub(_without_login, text))


def _without_login(word: "re.Match[str]") -> str:
    scheme, slashes, rest = word[0].partition("://")
    # up to the last @: a password that is not percent-encoded may contain / and @
    _, at, place = rest.rpartition("@")
    return f"{scheme}{slashes}***@{place}" if at else word[0]
