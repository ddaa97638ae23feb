"""Names and messages as they go to a terminal: names come from data, and may hold control characters and markup."""

from rich import markup

from pipeline.core.printable import printable_lines
from pipeline.policies.reasons import split_key


def escape(text: str) -> str:
    """The text for a rich console, which prints it as it is: without markup, control characters as escape sequences."""
    return markup.escape(printable_lines(text))


def dim_key(line: str) -> str:
    """A line for a rich console, with the key of params.yaml at its end, where there is one, in grey."""
    text, key = split_key(line)
    return f"{escape(text)} [dim]{escape(f'[{key}]')}[/dim]" if key else escape(text)


def code_key(line: str) -> str:
    """A line for Markdown, with the key of params.yaml at its end, where there is one, as code."""
    text, key = split_key(line)
    return f"{text} `{key}`" if key else text
