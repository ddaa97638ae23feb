"""The section ``compute``: where work is done that is the same for many rows or many seeds."""

from typing import Literal

from pipeline.core.params.types import Count, Name, Section


class Compute(Section):
    """No stage depends on it, because it changes no result: DVC runs nothing again when it changes."""

    engine: Literal["local", "ray"]
    address: Name
    cpus_per_worker: Count
