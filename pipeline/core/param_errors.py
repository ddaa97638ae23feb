"""Faults that pydantic finds, in words for the person who typed the value: ``path: expected ..., found ...``."""

import json
from datetime import date
from typing import Any

from pipeline.core.renamed_params import REMOVED, RENAMED

# pydantic adds the member of a union that failed to the path; the user never typed that.
UNION_MEMBERS = {"int", "float", "str", "constrained-int", "constrained-float", "constrained-str"}


def describe_fault(fault: Any) -> str:
    """One pydantic fault as ``path: expected ..., found ...``."""
    path = fault_path(fault)
    if fault["type"] == "extra_forbidden" and path in RENAMED:
        return f"{path}: renamed to {RENAMED[path]}; rename the key, its value means the same"
    if fault["type"] == "extra_forbidden" and path in REMOVED:
        return f"{path}: removed, remove the key: {REMOVED[path]}; `gleaner upgrade` does it"
    if fault["type"] == "extra_forbidden":
        return f"{path}: expected no such key, found {quote_value(fault['input'])}; remove it or correct its spelling"
    if fault["type"] == "missing":
        return f"{path}: expected a value, found none; add the key"
    if fault["type"] == "value_error":  # the message of our own validators starts with the key
        return f"{path}.{fault['ctx']['error']}"
    expected = describe_expected(fault) + (" as key" if is_about_key(fault) else "")
    return f"{path}: expected {expected}, found {quote_value(fault['input'])}{what_to_do(fault)}"


def what_to_do(fault: Any) -> str:
    """How to correct a fault that the words before leave open; empty where there is nothing to add."""
    # YAML reads an unquoted 1, true or 2026-01-01 as something else than a text.
    wants_text = fault["type"] == "string_type" or is_about_key(fault)
    return "; put it in quotes" if wants_text and isinstance(fault["input"], bool | int | float | date) else ""


def is_about_key(fault: Any) -> bool:
    """Whether a fault is about a key, such as a label in ``ingest.labels.rename``, and not about its value."""
    return fault["type"] == "invalid_key" or fault["loc"][-1:] == ("[key]",)


def fault_path(fault: Any) -> str:
    """The dotted path of what a pydantic fault is about; of the mapping, where the key itself is the fault."""
    parts = fault["loc"]
    if is_about_key(fault):
        parts = parts[:-1] if fault["type"] == "invalid_key" else parts[:-2]
    return ".".join(quote_key(part) for part in parts if part not in UNION_MEMBERS) or "params.yaml"


def quote_key(key: Any) -> str:
    """A key as the user typed it, cut to 60 characters; in quotes where it holds characters that do not print."""
    text = str(key)
    return quote_value(text) if not text.isprintable() or len(text) > 60 else text


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
        "invalid_key": "a text",
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
