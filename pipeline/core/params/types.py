"""What the sections are made of: a strict model, and the kinds of numbers and names in it."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

# Nothing here is counted in more: a mistyped number ends as one line and not as a night out of memory.
MOST = 1_000_000_000

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=MOST)]
Natural = Annotated[int, Field(ge=0, le=MOST)]
Resamples = Annotated[int, Field(ge=100, le=1_000_000)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Name = Annotated[str, Field(min_length=1)]
Names = Annotated[list[Name], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]  # or one
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A section of params.yaml: frozen, without unknown keys, conversion of types, infinity and NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
