"""Passwords and tokens in URLs, hidden wherever a URL is shown or stored."""

import re

# scheme://user:password@ or scheme://token@; a password may hold an @, so the last one before the path counts.
CREDENTIALS = re.compile(r"(\w+://)([^\s/:@]*)(:[^\s/]*)?[^\s/]*@")


def hide_passwords(text: str) -> str:
    """The text with ``***`` in place of the password of every URL; of a name without one, too, as it may be a token."""

    def hide(url: re.Match[str]) -> str:
        name = f"{url[2]}:" if url[3] else ""
        return f"{url[1]}{name}***@"

    return CREDENTIALS.sub(hide, text)


def without_credentials(address: str) -> str:
    """An address without user name, password and token, as a command may print it."""
    return CREDENTIALS.sub(r"\1", address)
