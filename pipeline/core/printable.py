"""Text that can do nothing to a terminal or a page: names come from data, and data may hold control characters."""

import sys
import unicodedata

# Unicode categories of characters that could move a terminal's cursor, or hide or reorder text.
HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JSON_SPACE = {"\n", "\t", "\r"}  # between values; inside strings they are escaped already
JOINERS = {"\u200c", "\u200d"}  # of category Cf, but they only join emoji and letters


def printable(text: str) -> str:
    """The text with control, format and unassigned characters as escape sequences, and all white space as blanks.

    It can then do nothing to a terminal or to the order in which it is read.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(escape_character, text))


def printable_lines(text: str) -> str:
    """Several lines, each as `printable` returns it. Only a line feed ends a line."""
    return "\n".join(map(printable, text.split("\n")))


def print_note(text: str) -> None:
    """Print lines for people on stderr, in which names from data do nothing to the terminal."""
    print(printable_lines(text), file=sys.stderr)


def escape_in_json(content: str) -> str:
    """JSON of the same value in which `json.dumps` left no control or format character as it is."""
    return "".join(
        part if part in JSON_SPACE or unicodedata.category(part) not in HIDDEN_CATEGORIES else json_escape(part)
        for part in content
    )


def json_escape(character: str) -> str:
    """The escape sequence of a character in JSON, two of them for one beyond 16 bits."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))


def escape_character(character: str) -> str:
    """A character itself, a blank for white space, or for an invisible character its code as Python writes it."""
    if character.isspace():
        return " "
    if unicodedata.category(character) not in HIDDEN_CATEGORIES or character in JOINERS:
        return character
    if ord(character) > 127:
        return character.encode("ascii", "backslashreplace").decode()
    return f"\\x{ord(character):02x}"
