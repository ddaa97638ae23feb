"""The section ``pretrain``: further training of the encoder on raw text, or a new encoder from it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.core.params.training import Training
from pipeline.core.params.types import Count, Positive, Section


class Scratch(Section):
    """Size of an encoder trained from scratch."""

    vocabulary: Annotated[int, Field(ge=300)]  # the 256 bytes and the special tokens are a part of it
    hidden: Count
    layers: Count
    heads: Count

    @model_validator(mode="after")
    def check_heads(self) -> "Scratch":
        """Raises ValueError if ``hidden`` is not a multiple of ``heads``."""
        if self.hidden % self.heads:
            raise ValueError(f"hidden: expected a multiple of heads ({self.heads}), found {self.hidden}")
        return self


class Pretrain(Training):
    """How the encoder is trained on raw text; the objective ``none`` switches it off."""

    objective: Literal["none", "mlm", "simcse"]
    from_scratch: bool
    scratch: Scratch
    max_rows: Count | None
    mask_probability: Annotated[float, Field(gt=0, lt=1)]
    temperature: Positive
    dropout: Annotated[float, Field(ge=0, lt=1)]
    packing: bool

    @model_validator(mode="after")
    def check_objective(self) -> "Pretrain":
        """Raises ValueError if the objective is not one for which an encoder is made from scratch, or packed."""
        if self.from_scratch and self.objective == "none":
            raise ValueError('objective: expected "mlm" or "simcse" with from_scratch, found "none"')
        if self.packing and self.objective == "simcse":
            raise ValueError('packing: expected false with the objective "simcse", which needs a vector of each text')
        return self
