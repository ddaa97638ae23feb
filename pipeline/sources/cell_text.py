"""A cell of any type as text."""

import json
import math
from decimal import Decimal
from typing import Any


def cell_text(value: Any) -> str:
    """A cell as text, empty for None and NaN; a whole number has no decimal point, whatever its type."""
    if value is None or (isinstance(value, float | Decimal) and math.isnan(value)):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if is_numpy(value):
        return cell_text(value.tolist())
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else str(value)


def is_numpy(value: Any) -> bool:
    """Whether ``value`` is an array or a scalar of NumPy."""
    return hasattr(value, "tolist") and hasattr(value, "ndim")
