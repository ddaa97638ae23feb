"""The section ``compute``: where work is done that is the same for many rows or many seeds."""

from typing import Literal

from pipeline.core.params.types import Count, Name, Section


class Compute(Section):
    """No stage depends on it, so DVC runs nothing again when it changes.

    It changes no result, but for what workers that train together draw (dropout) and how they round.
    """

    engine: Literal["local", "ray"]
    address: Name
    cpus_per_worker: Count
    pretrain_workers: Count
    finetune_workers: Count
