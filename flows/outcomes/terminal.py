"""Names and messages as they go to a terminal: names come from data, and may hold control characters and markup."""

from rich import markup
from rich.cells import cell_len
from rich.table import Column

from pipeline.core.printable import printable_lines
from pipeline.policies.reasons import split_key

MAX_WHOLE = 25  # characters of a cell that stays on one line, such as "+0.055 (+0.009 to +0.102)"


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


def table_column(name: str, cells: list[str], right: bool = False) -> Column:
    """A column for a terminal of 80 characters: figures and single words stay whole, other text folds, nothing is cut.

    A column that stays whole is as wide as its longest cell, or as the longest word of its name, which may fold.
    """
    longest = max((cell_len(printable_lines(cell)) for cell in cells), default=0)
    holds_figures = any(character.isdigit() for cell in cells for character in cell)
    is_whole = longest <= MAX_WHOLE and (holds_figures or not any(" " in cell for cell in cells))
    width = max(longest, *map(cell_len, printable_lines(name).split()), 1) if is_whole else None
    return Column(escape(name), justify="right" if right else "left", overflow="fold", width=width)
