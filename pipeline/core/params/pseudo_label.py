"""The section ``pseudo_label``: how heads that few labels trained label the pool in rounds."""

from typing import Annotated, Literal

from pydantic import Field

from pipeline.core.params.training import Supervised
from pipeline.core.params.types import Count, NotNegative, Section, Seed


class PseudoLabel(Section):
    """Which teacher labels the pool, and what it reads; the teacher ``none`` switches it off."""

    teacher: Literal["none", "probe", "latent", "finetuned"]
    latent: Count
    rounds: Count
    class_names: bool
    word_view: bool
    spread: Literal["graph", "clusters", "none"]
    clusters: Count
    pool_limit: Count | None
    weight: NotNegative
    folds: Annotated[int, Field(ge=2)]
    seed: Seed
    finetuned: Supervised
