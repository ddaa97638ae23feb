"""The bundle that `gleaner predict` and `gleaner explain` ask."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServedBundle:
    """The folder of a classifier, and what it is."""

    folder: Path
    version: str | None = None  # the number of the registered version; None if it is none
    note: str = ""  # a line on stderr that says whose answers these are; empty if the user named the folder
