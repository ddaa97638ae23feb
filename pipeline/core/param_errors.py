"""Faults that pydantic finds, in words for the person who typed the value: ``path: expected ..., found ...``."""

import json
from typing import Any

from pipeline.core.renamed_params import RENAMED

# pydantic adds the member of a union that failed to the path; the user never typed that.
UNION_MEMBERS = {"int", "float", "str", "constrained-int", "constrained-float", "constrained-str"}


def describe_fault(fault: Any) -> str:
    """One pydantic fault as ``path: expected ..., found ...``."""
    path = fault_path(fault)
    if fault["type"] == "extra_forbidden" and path in RENAMED:
        return f"{path}: renamed to {RENAMED[path]}; rename the key, its value means the same"
    if fault["type"] == "extra_forbidden":
        return f"{path}: expected no such key, found {quote_value(fault['input'])}; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{path}: expected a value, found none; add the key"
    if fault["type"] == "value_error":  # the message of our own validators starts with the key
        return f"{path}.{fault['ctx']['error']}"
    return f"{path}: expected {describe_expected(fault)}, found {quote_value(fault['input'])}"


def fault_path(fault: Any) -> str:
    """The dotted path of the key that a pydantic fault is about."""
    return ".".join(str(part) for part in fault["loc"] if part not in UNION_MEMBERS)


def describe_expected(fault: Any) -> str:
    """The kind of value that the key of a pydantic fault should have, in plain words."""
    limits = fault.get("ctx", {})
    expected_by_type = {
        "greater_than": f"a number above {limits.get('gt')}",
        "greater_than_equal": f"a number of at least {limits.get('ge')}",
        "less_than": f"a number below {limits.get('lt')}",
        "less_than_equal": f"a number of at most {limits.get('le')}",
        "float_type": "a number",
        "finite_number": "a finite number",
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
    return expected_by_type.get(fault["type"], fault["msg"])


def quote_value(value: Any) -> str:
    """A value as the user typed it, cut to 60 characters."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except TypeError:
        text = str(value)
    return text if len(text) <= 60 else text[:57] + "..."
