"""The file tokenizer.json, read by the library tokenizers alone: it is imported in 0.03 s, transformers in seconds."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import UserError
from pipeline.core.printable import printable

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENISED_AT_ONCE = 10_000  # texts: the tokenizer's records are many times larger than the ids that are kept


def load_tokenizer(path: Path, max_length: int) -> "Tokenizer":
    """The tokenizer, which cuts texts at ``max_length`` tokens. Raises UserError if the file is none."""
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        tokenizer.encode("a")
    except Exception as error:  # noqa: BLE001  tokenizers raises Exception itself
        found = printable(str(error)[:200])
        raise UserError(f"{path}: expected a tokenizer, found: {found}; rerun export") from None
    return tokenizer


def tokenise(tokenizer: "Tokenizer", texts: list[str]) -> list[np.ndarray]:
    """Token ids of each text, (tokens,), int64, cut at the tokenizer's maximum length, special tokens included."""
    tokens: list[np.ndarray] = []
    for start in range(0, len(texts), TOKENISED_AT_ONCE):
        encodings = tokenizer.encode_batch_fast(texts[start : start + TOKENISED_AT_ONCE])
        tokens.extend(np.array(encoding.ids, dtype=np.int64) for encoding in encodings)
    return tokens
