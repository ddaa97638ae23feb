"""The network behind a classifier, for methods that need its weights."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.core.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from pipeline.models.network import Network


@dataclass(frozen=True)
class Internals:
    """A network with its tokenizer, and the ids of two special tokens."""

    network: "Network"
    tokenizer: "Tokenizer"  # truncates texts at the model's maximum length
    pad: int
    mask: int | None

    def blank(self, baseline: str) -> int:
        """The id of the token that stands for no word: of the mask or pad token, as ``baseline`` names it.

        Raises UserError if the baseline is ``mask`` and the tokenizer has no mask token.
        """
        if baseline == "pad":
            return self.pad
        if self.mask is None:
            raise UserError("baseline: expected pad, as this model's tokenizer has no mask token, found mask; set pad")
        return self.mask
