"""The classifier as a torch module: encoder, pooled unit vector, dropout, linear head; forward returns the loss too."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from pipeline.core.stage import read_json
from pipeline.models import adapters
from pipeline.models import encoder as encoders

ADAPTERS_FILE = "adapters.safetensors"


class WordHead(torch.nn.Module):
    """Logits from the words of a text: its distinct tokens' rows of a table, weighted by inverse document frequency.

    The features of a text have unit length, as those that the table was fitted on. The table is not trained; the
    encoder learns beside it.
    """

    table: torch.Tensor
    idf: torch.Tensor

    def __init__(self, table: torch.Tensor, idf: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table)  # (vocabulary, classes), float32
        self.register_buffer("idf", idf)  # (vocabulary,), float32; 0 for tokens that do not count

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Logits (rows, classes), float32, of token ``ids`` and ``mask``, both (rows, tokens), int64."""
        return torch.einsum("bt,btc->bc", self.token_weights(ids, mask), self.table[ids])

    def token_weights(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """How much each token counts, (rows, tokens), float32: the logits are the sum of its table rows by these.

        ``ids`` and ``mask`` are (rows, tokens), int64.
        """
        same = (ids.unsqueeze(2) == ids.unsqueeze(1)) & mask.unsqueeze(1).bool()
        occurrences = same.sum(2).clamp(min=1)  # of the token in the text; a token counts once, shared by all of them
        idf = self.idf[ids] * mask
        share = idf / occurrences
        length = (idf * share).sum(1, keepdim=True).clamp(min=1e-12).sqrt()
        return share / length


class Network(torch.nn.Module):
    """The classifier: logits = head(dropout(unit vector of the text)), plus the word head's where there is one.

    The vector has unit length, as the vectors that the teacher's linear head was fitted on, so that its weights fit the
    head as they are.
    """

    def __init__(
        self, encoder: Any, labels: list[str], pooling: str, max_length: int, dropout: float, label_smoothing: float
    ) -> None:
        super().__init__()
        self.encoder, self.labels, self.pooling, self.max_length = encoder, labels, pooling, max_length
        self.label_smoothing = label_smoothing
        self.adapters: dict[str, Any] | None = None
        self.dropout = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(encoder.config.hidden_size, len(labels))
        self.words: WordHead | None = None

    def load_heads(self, heads: dict[str, torch.Tensor]) -> None:
        """Load ``heads``: ``weight`` (classes, width) and ``bias`` (classes,) of the linear head, float32.

        Where they hold ``words`` (vocabulary, classes) and ``idf`` (vocabulary,), float32, these make the word head.
        """
        self.head.load_state_dict({"weight": heads["weight"], "bias": heads["bias"]})
        if "words" in heads:
            self.words = WordHead(heads["words"], heads["idf"])

    def heads(self) -> dict[str, torch.Tensor]:
        """The tensors that `load_heads` takes: (classes, width), (classes,) and those of the word head, float32."""
        tensors = {"weight": self.head.weight, "bias": self.head.bias}
        tensors |= {"words": self.words.table, "idf": self.words.idf} if self.words else {}
        return {name: value.detach().cpu() for name, value in tensors.items()}

    def add_offsets(self, offsets: Any) -> None:
        """Add ``offsets`` (classes,) to the logits of every text from now on, by way of the head's bias."""
        with torch.no_grad():
            self.head.bias.add_(torch.as_tensor(offsets, dtype=self.head.bias.dtype))

    def add_adapters(self, kind: str, size: int) -> None:
        """Install adapters in the encoder, their weights drawn at random; `save` writes them beside the encoder."""
        adapters.install(self.encoder, kind, size)
        self.adapters = {"kind": kind, "size": size}

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        targets: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """``logits`` (rows, classes), float32, and ``loss`` where targets are given.

        ``input_ids`` and ``attention_mask`` are (rows, tokens), int64; ``targets`` (rows, classes), float32, holds the
        probability of each class, 0 to 1; ``weights`` (rows,), float32, says how much a row counts. The loss is the
        weighted mean of the cross-entropies. Targets are smoothed in training only, so that the loss of an evaluation
        is a plain log-likelihood.
        """
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        vectors = encoders.pool(hidden.float(), attention_mask, self.pooling)
        logits = self.head(self.dropout(vectors)).float()
        if self.words is not None:
            logits = logits + self.words(input_ids, attention_mask)
        if targets is None:
            return {"logits": logits}
        smoothing = self.label_smoothing if self.training else 0.0
        losses = torch.nn.functional.cross_entropy(logits, targets, reduction="none", label_smoothing=smoothing)
        weights = torch.ones_like(losses) if weights is None else weights
        return {"loss": (losses * weights).sum() / weights.sum(), "logits": logits}


def create(
    folder: Path,
    labels: list[str],
    *,
    pooling: str,
    max_length: int,
    dropout: float = 0.0,
    encoder_dropout: float | None = None,
    label_smoothing: float = 0.0,
) -> tuple[Network, Any]:
    """Network with a random head over the encoder in ``folder``, and the tokenizer.

    ``encoder_dropout`` replaces every dropout that the encoder's config sets; None leaves them.
    """
    overrides = {} if encoder_dropout is None else encoders.dropout_overrides(folder, encoder_dropout)
    encoder, tokenizer = encoders.load(folder, dtype=torch.float32, **overrides)
    return Network(encoder, labels, pooling, max_length, dropout, label_smoothing), tokenizer


def save(network: Network, tokenizer: Any, folder: Path, unchanged: Path | None = None) -> None:
    """Write ``encoder/`` (config, weights, tokenizer), ``head.safetensors`` and ``classifier.json``.

    Where the encoder has adapters, ``adapters.safetensors`` is written too, and classifier.json names their kind. Where
    the encoder is still that of the folder ``unchanged``, its files are copied: what was exported by their digest fits.
    """
    if unchanged is not None:
        folder.mkdir(parents=True, exist_ok=True)
        encoders.copy_files(unchanged, folder / "encoder")
    else:
        adapters.save(network.encoder, folder / "encoder", folder / ADAPTERS_FILE)
        tokenizer.save_pretrained(folder / "encoder")
    save_file(network.heads(), folder / "head.safetensors")
    about = {"labels": network.labels, "pooling": network.pooling, "max_length": network.max_length}
    about |= {"adapters": network.adapters} if network.adapters else {}
    (folder / "classifier.json").write_text(json.dumps(about, indent=2, ensure_ascii=False) + "\n")


def load(folder: Path) -> tuple[Network, Any, dict[str, Any]]:
    """Network in evaluation mode, its tokenizer, and classifier.json: labels, pooling, max_length, maybe adapters.

    ``folder`` is what `save` wrote, or a model bundle, which holds the same files and more.
    """
    about = read_json(folder / "classifier.json")
    settings = {key: about[key] for key in ("labels", "pooling", "max_length")}
    network, tokenizer = create(folder / "encoder", **settings)
    if "adapters" in about:
        adapters.load(network.encoder, **about["adapters"], file=folder / ADAPTERS_FILE)
        network.adapters = about["adapters"]
    network.load_heads(load_file(folder / "head.safetensors"))
    return network.eval(), tokenizer, about


def predict_logits(network: Network, tokenizer: Any, texts: list[str], batch_size: int) -> np.ndarray:
    """The network's logits for the texts, (texts, classes), float32, in evaluation mode.

    Texts of like length share a batch.
    """
    logits = np.empty((len(texts), len(network.labels)), dtype=np.float32)
    options: dict[str, Any] = {"truncation": True, "max_length": network.max_length}
    options |= {"padding": True, "padding_side": "right", "return_tensors": "pt"}
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    device = network.head.weight.device
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = tokenizer([texts[row] for row in rows], **options)
            output = network(batch["input_ids"].to(device), batch["attention_mask"].to(device))
            logits[rows] = output["logits"].cpu().numpy()
    return logits
