"""YAML files, read within limits. A file may come from anybody: an overlay, a restored project, an older commit.

A few lines of YAML can stand for gigabytes: each alias may repeat a list of aliases ("billion laughs"). Loading them
costs nothing, because all repeats are one object; whatever walks over the content afterwards never ends.
"""

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.core.errors import UserError

MAX_BYTES = 256 * 1024  # params.yaml has 20 kB, the largest dvc.lock 60 kB; the reader takes some 10 s for a megabyte
MAX_NESTING = 500  # open brackets; the reader's time grows with their square
MAX_ENTRIES = 100_000  # entries of all lists and mappings with aliases written out; params.yaml has some 300
BRACKETS = re.compile(r"[\[\]{}]")
UNUSABLE = re.compile("[\0\ud800-\udfff]")  # no path and no terminal takes these


def read_yaml(path: Path) -> Any:
    """The content of a YAML 1.2 file, read as DVC does: ``1e-5`` is a number and ``no`` is a string.

    Raises UserError if there is no such file, it cannot be read, it is no valid YAML, or it exceeds the limits above.
    """
    return parse_yaml(read_text(path), path)


def read_text(path: Path) -> str:
    """The text of a YAML file. Raises UserError if there is no such file, or it is no UTF-8 text within the limits."""
    if not path.exists():
        raise UserError(f"{path}: expected a YAML file, found none; run this from the project's root")
    if not path.is_file():  # a pipe would never end
        raise UserError(f"{path}: expected a YAML file, found a folder or a device; name the file")
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise UserError(f"{path}: expected at most {MAX_BYTES:,} bytes of YAML, found {size:,}; is this the file?")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: expected a readable YAML file, found: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected a YAML file in UTF-8, found another encoding; save it as UTF-8") from None


def parse_yaml(text: str, name: object) -> Any:
    """The content of YAML text; ``name`` stands for it in messages.

    Raises UserError if it is no valid YAML, exceeds the limits above, or holds itself.
    """
    try:
        check_nesting(text)
        content = YAML(typ="safe", pure=True).load(text)
        count_entries(content, {})
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        problem = str(getattr(error, "problem", None) or error).splitlines()[0].removeprefix("found ")
        raise UserError(f"{name}{line}: expected valid YAML, found {problem}") from None
    except RecursionError:
        raise UserError(f"{name}: expected YAML of a few levels, found hundreds of them") from None
    except UnusableContent as error:
        raise UserError(f"{name}: expected valid YAML, found {error}") from None
    # A tag such as !!bool calls Python's own conversion, with its own errors.
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
        reason = "a whole number of thousands of digits" if "int_max_str_digits" in str(error) else str(error)
        raise UserError(f"{name}: expected valid YAML, found a value that cannot be read: {reason}") from None
    return content


class UnusableContent(Exception):
    """What makes the content of valid YAML unusable: its size, a list in itself, or a character that nothing takes."""


def check_nesting(text: str) -> None:
    """Raises RecursionError if more brackets are open at once than any honest file has, wherever they stand."""
    depth = 0
    for bracket in BRACKETS.findall(text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_NESTING:
            raise RecursionError


def count_entries(value: Any, known: dict[int, int | None]) -> int:
    """The number of entries in ``value``, at least 1, with every alias written out.

    ``known`` holds the count of each list and mapping by its ``id``, None for those that are being counted. Raises
    UnusableContent if there are more than `MAX_ENTRIES`, a list or mapping holds itself or is a key, or a text has a
    NUL or half a character.
    """
    if isinstance(value, str) and UNUSABLE.search(value):
        raise UnusableContent(f"a text with {UNUSABLE.search(value)[0]!a}; remove it")  # type: ignore[index]
    if not isinstance(value, dict | list | set | tuple):
        return 1
    if isinstance(value, dict) and any(isinstance(key, tuple) for key in value):
        raise UnusableContent("a list or mapping as key; use a text")
    if id(value) in known:
        entries = known[id(value)]
        if entries is None:
            raise UnusableContent("an alias inside of what it stands for; write the value out")
        return entries
    known[id(value)] = None
    items = [*value, *value.values()] if isinstance(value, dict) else value
    total = 1 + sum(count_entries(item, known) for item in items)
    if total > MAX_ENTRIES:
        raise UnusableContent(f"aliases that stand for more than {MAX_ENTRIES:,} entries; write out what you mean")
    known[id(value)] = total
    return total
