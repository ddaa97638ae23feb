"""The result of one check of `gleaner doctor`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """The result of one check; ``fault`` is empty if all is well, else it ends with the fix."""

    name: str
    state: str  # what to print if all is well
    fault: str = ""
