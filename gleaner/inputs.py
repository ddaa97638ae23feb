"""What a caller passes as texts or labels, checked and made into plain lists."""

from collections.abc import Iterable, Mapping

from pipeline.core.errors import UserError


def string_list(values: Iterable[str], name: str) -> list[str]:
    """The values of a list, an array or a pandas Series as a list; ``name`` is the argument's, for messages.

    Raises UserError if ``values`` is a single string, a table or a mapping, or if a value is no string.
    """
    advice = "give a list, or one column"
    if isinstance(values, str | bytes):  # its characters would pass for texts
        raise UserError(f"{name}: expected a list of strings, found one; put it into a list")
    if isinstance(values, Mapping) or hasattr(values, "columns"):  # its names would pass for texts
        raise UserError(f"{name}: expected a list of strings, found a {type(values).__name__}; {advice}")
    listed = list(values)
    for position, value in enumerate(listed):
        if not isinstance(value, str):
            raise UserError(
                f"{name}: expected strings, found {type(value).__name__} at position {position}; convert or remove it"
            )
    return [str(value) for value in listed]
