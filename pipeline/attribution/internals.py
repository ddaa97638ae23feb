"""The network behind a classifier, for the methods that look into it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from pipeline.models.network import Network


@dataclass(frozen=True)
class Internals:
    """What the methods that look into the model need of it."""

    network: "Network"
    tokenizer: "Tokenizer"  # cuts texts at the model's length
    pad: int
    mask: int | None

    def blank(self, baseline: str) -> int:
        """The token that stands for no word, by its name: mask or pad."""
        if baseline == "pad":
            return self.pad
        if self.mask is None:
            raise UserError("baseline: expected pad, as this model's tokenizer has no mask token, found mask; set pad")
        return self.mask
