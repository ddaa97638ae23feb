"""Passwords in URLs, hidden wherever a URL is shown or stored."""

import re

PASSWORD = re.compile(r"(\w+://[^\s/:@]*):[^\s/@]+@")  # scheme://user:password@


def hide_passwords(text: str) -> str:
    """The text with ``***`` in place of the password of every URL."""
    return PASSWORD.sub(r"\1:***@", text)
