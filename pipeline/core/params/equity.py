"""Sections of fairness in earnest: what makes groups more even, swapped training rows, and the counterfactual check."""

from typing import Annotated

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Fraction, Name, Natural, NotNegative, Section, Seed


class Offsets(Section):
    """Scores moved by class after training, the same for everybody."""

    budget: Fraction | None


class Mitigation(Section):
    """What makes groups more even; a key of its own because several stages read it."""

    attributes: list[Name]
    reweighing: bool
    penalty: NotNegative
    offsets: Offsets


class Swaps(Section):
    variants: Natural
    pool: bool
    axes: list[Name]
    weight: NotNegative
    seed: Seed

    @model_validator(mode="after")
    def pool_needs_variants(self) -> "Swaps":
        if self.pool and not self.variants:
            raise ValueError("pool: expected false while variants is 0, found true; set variants to 1 or more")
        return self


class Counterfactual(Section):
    axes: list[Name]
    min_rows: Count
    max_swaps: Count
    bootstrap: Annotated[int, Field(ge=100)]
    interval: Annotated[float, Field(gt=0, lt=1)]
    seed: Seed
