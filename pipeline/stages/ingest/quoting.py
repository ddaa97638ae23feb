"""Names of labels and groups in messages: what is not seen is written as an escape, and no text of a row is quoted."""

import json
from collections.abc import Iterable, Mapping

from pipeline.sources.spelling import is_invisible

LONGEST_NAME = 60  # characters; a longer one may be the text of a row
MOST_WORDS = 8
LISTED = 10  # names in one message
LONGEST_LISTED, MOST_LISTED_WORDS = 30, 4  # of a name in a list; where cells are shifted, a longer one is a text
CUT = 20  # characters that are left of a longer one


def is_short(name: str) -> bool:
    """Whether a name is short enough to be the name of a class or group, and no text of a row."""
    return len(name) <= LONGEST_NAME and len(name.split()) <= MOST_WORDS


def show_name(name: str) -> str:
    """The name with escapes for what is not seen; its length in place of a long one."""
    if not is_short(name):
        return f"a value of {len(name)} characters"
    return "".join(json.dumps(char)[1:-1] if is_invisible(char) else char for char in name)


def quote_name(name: str) -> str:
    """The name in double quotes, as JSON and YAML read it; see `show_name`."""
    if not is_short(name):
        return show_name(name)
    quoted = json.dumps(name, ensure_ascii=False)
    return "".join(json.dumps(char)[1:-1] if is_invisible(char) else char for char in quoted)


def list_names(names: Iterable[str]) -> str:
    """The first names in double quotes, longer ones cut, and how many more there are."""
    quoted = [quote_name(cut_name(name)) for name in names]
    more = f" and {len(quoted) - LISTED} more" if len(quoted) > LISTED else ""
    return ", ".join(quoted[:LISTED]) + more


def cut_name(name: str) -> str:
    """The name, or the beginning of one that is long for a class and still `is_short`."""
    if len(name) <= LONGEST_LISTED and len(name.split()) <= MOST_LISTED_WORDS:
        return name
    return f"{name[:CUT]}..." if is_short(name) else name


def yaml_list(names: Iterable[str]) -> str:
    """The names as a YAML list on one line; long ones are left out."""
    return f"[{', '.join(quote_name(name) for name in names if is_short(name))}]"


def yaml_mapping(pairs: Mapping[str, str]) -> str:
    """Names and their new names as a YAML mapping on one line; long ones are left out."""
    entries = [f"{quote_name(old)}: {quote_name(new)}" for old, new in pairs.items() if is_short(old) and is_short(new)]
    return f"{{{', '.join(entries)}}}"


def count_rows(count: int) -> str:
    """A number of rows as text, such as "1 row" or "20 rows"."""
    return f"{count} row" if count == 1 else f"{count} rows"
