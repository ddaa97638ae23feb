"""An encoder ready to compute text vectors, with the tokenizer that it reads texts by, for each runtime."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.params import Encoder
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models.encoder_graph import find_or_export
from pipeline.models.onnx_file import VECTORS
from pipeline.models.onnx_model import open_model
from pipeline.models.runtime import Choice, Runtime
from pipeline.models.tokenizer_file import load_tokenizer, tokenise
from pipeline.models.torch_encoder import TorchEncoder


@dataclass(frozen=True)
class Reader:
    """The tokenizer of an encoder, and what it says of its tokens."""

    tokenizer: Any  # of the library tokenizers; cuts texts at encoder.max_length
    pad_id: int
    special_ids: list[int]
    tokens: int  # of the vocabulary

    def tokenise(self, texts: list[str]) -> list[Any]:
        """Token ids of each text, (tokens,), int64, special tokens included."""
        return tokenise(self.tokenizer, texts)


def open_encoder(folder: Path, encoder: Encoder, choice: Choice, paths: Paths) -> tuple[Runtime, Reader]:
    """What computes unit vectors by the encoder in ``folder`` as ``choice`` says, and the encoder's tokenizer."""
    if choice.runtime == "torch":
        model = TorchEncoder(folder, encoder.pooling, choice.precision)
        return model, read_by(model.tokenizer, encoder.max_length)
    graph = find_or_export(folder, encoder, paths)
    return open_model(graph.model, choice, VECTORS), read_by_graph(graph, encoder)


def open_reader(folder: Path, encoder: Encoder, choice: Choice, paths: Paths) -> Reader:
    """The tokenizer of the encoder in ``folder`` alone; transformers is imported only for torch."""
    if choice.runtime == "torch":
        return read_by(encoders.load_tokenizer(folder), encoder.max_length)
    return read_by_graph(find_or_export(folder, encoder, paths), encoder)


def read_by_graph(graph: Any, encoder: Encoder) -> Reader:
    """The tokenizer that is kept with an exported encoder."""
    about = graph.about
    tokenizer = load_tokenizer(graph.tokenizer, encoder.max_length)
    return Reader(tokenizer, about["pad_id"], about["special_ids"], about["tokens"])


def read_by(tokenizer: Any, max_length: int) -> Reader:
    """The tokenizer behind one of transformers, which stays as it is."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(max_length)
    return Reader(copy, tokenizer.pad_token_id or 0, sorted(tokenizer.all_special_ids), len(tokenizer))
