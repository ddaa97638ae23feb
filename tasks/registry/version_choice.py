"""Which of the registered versions a number or an alias names."""

from collections.abc import Mapping

from pipeline.core.errors import UserError

CHAMPION = "champion"


def choose_version(model: str, aliases: Mapping[str, tuple[str, ...]], wanted: str) -> str:
    """The number of the version that ``wanted``, a number or an alias, names; ``aliases`` are those of each version.

    Raises UserError that lists the versions if there is no such one.
    """
    for number, names in aliases.items():
        if wanted in (number, *names):
            return number
    known = ", ".join(" ".join([number, *(f"({name})" for name in names)]) for number, names in aliases.items())
    if wanted == CHAMPION:
        raise UserError(
            f"{model}: expected a champion, found none among its versions {known}; `gleaner history` says why, or name "
            "a version"
        )
    raise UserError(
        f"{model}: expected one of its versions {known}, found {wanted}; correct it, or see `gleaner history` for one "
        "that was deleted"
    )
