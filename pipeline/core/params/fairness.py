"""The sections ``fairness``, ``counterfactual`` and ``mitigation``: groups measured, and made more even."""

from typing import Annotated

from pydantic import Field

from pipeline.core.params.types import Count, Fraction, Name, NotNegative, Resamples, Section, Seed


class Fairness(Section):
    """How the metrics of groups are measured on the test rows."""

    min_group_size: Count
    auc_class: str | None
    bootstrap: Resamples
    interval: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Counterfactual(Section):
    """How often the label of a test row flips when an identity term in it is exchanged."""

    axes: list[Name]
    min_rows: Count
    max_swaps: Count
    bootstrap: Resamples
    interval: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed


class Offsets(Section):
    """Offsets added to the scores of classes after training, the same for every row."""

    budget: Fraction | None


class Mitigation(Section):
    """What makes groups more even. It is a separate section because several stages read it."""

    attributes: list[Name]
    reweighing: bool
    penalty: NotNegative
    offsets: Offsets
