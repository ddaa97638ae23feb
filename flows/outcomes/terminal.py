"""Names and messages as they go to a terminal: names come from data, and may hold control characters and markup."""

from rich import markup

from pipeline.core.printable import printable_lines


def escape(text: str) -> str:
    """The text for a rich console, which prints it as it is: without markup, control characters as escape sequences."""
    return markup.escape(printable_lines(text))
