"""What pydantic finds wrong, in the words of the person who typed it: ``path: expected ..., found ...``."""

import json
from typing import Any

from pipeline.core.renamed_params import RENAMED

# pydantic names the member of a union that failed; the user never typed that.
VARIANTS = {"int", "float", "str", "constrained-int", "constrained-float", "constrained-str"}


def describe(fault: Any) -> str:
    """One pydantic fault as ``path: expected ..., found ...``."""
    where = path_of(fault)
    if fault["type"] == "extra_forbidden" and where in RENAMED:
        return f"{where}: renamed to {RENAMED[where]}; rename the key, its value means the same"
    if fault["type"] == "extra_forbidden":
        return f"{where}: expected no such key, found {found(fault['input'])}; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{where}: expected a value, found none; add the key"
    if fault["type"] == "value_error":  # our own validators say the rest of the path themselves
        return f"{where}.{fault['ctx']['error']}"
    return f"{where}: expected {expected(fault)}, found {found(fault['input'])}"


def path_of(fault: Any) -> str:
    """The dotted path of the key that a pydantic fault is about."""
    return ".".join(str(part) for part in fault["loc"] if part not in VARIANTS)


def expected(fault: Any) -> str:
    """What a fault's key should have held, in the user's words."""
    limits = fault.get("ctx", {})
    words = {
        "greater_than": f"a number above {limits.get('gt')}",
        "greater_than_equal": f"a number of at least {limits.get('ge')}",
        "less_than": f"a number below {limits.get('lt')}",
        "less_than_equal": f"a number of at most {limits.get('le')}",
        "float_type": "a number",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "string_type": "a text",
        "bool_type": "true or false",
        "list_type": "a list",
        "dict_type": "a mapping",
        "model_type": "a mapping of keys",
        "literal_error": f"one of {limits.get('expected')}",
        "too_short": f"at least {limits.get('min_length')} entries",
        "too_long": f"at most {limits.get('max_length')} entries",
        "string_too_short": "a text that is not empty",
        "string_pattern_mismatch": "64 hexadecimal digits (a SHA-256)",
    }
    return words.get(fault["type"], fault["msg"])


def found(value: Any) -> str:
    """The offending value as the user typed it, cut where it is long."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except TypeError:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
