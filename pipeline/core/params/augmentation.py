"""The sections of the stages that copy rows: ``synonyms``, ``back_translate`` and ``swaps``."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.types import Count, Name, Natural, NotNegative, Section, Seed


class Synonyms(Section):
    """Copies of gold rows with words replaced by synonyms; 0 ``variants`` switch the stage off."""

    variants: Natural
    share: Annotated[float, Field(gt=0, le=1)]
    weight: NotNegative
    seed: Seed


class BackTranslate(Section):
    """Copies of gold rows translated there and back; the engine ``none`` switches the stage off."""

    engine: Literal["none", "apertium", "marian"]
    apertium: Annotated[list[Name], Field(min_length=2, max_length=2)]
    marian: Annotated[list[Name], Field(min_length=2, max_length=2)]
    marian_revisions: list[str]
    batch_size: Count
    max_ratio: Annotated[float, Field(gt=1)]
    weight: NotNegative


class Swaps(Section):
    """Copies of rows with identity terms exchanged; 0 ``variants`` switch the stage off."""

    variants: Natural
    pool: bool
    axes: list[Name]
    weight: NotNegative
    seed: Seed

    @model_validator(mode="after")
    def check_pool(self) -> "Swaps":
        """Raises ValueError if pool rows are to be copied in 0 variants."""
        if self.pool and not self.variants:
            raise ValueError("pool: expected false while variants is 0, found true; set variants to 1 or more")
        return self
