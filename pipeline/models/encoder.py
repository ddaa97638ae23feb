"""Find and load the pretrained encoder: from a package, the hub or a folder, its weights checked by digest."""

import hashlib
import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from pipeline.core.params import Encoder

if TYPE_CHECKING:
    import torch

# What an encoder needs; no pickled weights and no code of the model's author are ever fetched.
HUB_FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]
# They number positions from the padding token's id on, so that those up to it are lost.
AFTER_PADDING = ("camembert", "data2vec-text", "longformer", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl")


def locate(encoder: Encoder) -> Path:
    """The folder that holds config, tokenizer and weights of the encoder that params name.

    Raises UserError when it cannot be found, its weights are not the ones that ``encoder.sha256`` pins, or it cannot
    read ``encoder.max_length`` tokens.
    """
    folder = {"package": from_package, "hub": from_hub, "path": from_path}[encoder.source](encoder)
    actual = digest(folder)
    if encoder.sha256 and actual != encoder.sha256:
        raise UserError(
            f"encoder.sha256: expected weights with {encoder.sha256[:12]}…, found {actual[:12]}… in {encoder.name}; "
            "fetch the pinned weights again, or pin the new digest if the change is wanted"
        )
    limit = positions(folder)
    if limit is not None and encoder.max_length > limit:
        raise UserError(
            f"encoder.max_length: expected at most {limit}, the tokens that {encoder.name} can read, "
            f"found {encoder.max_length}; lower it"
        )
    return folder


def from_package(encoder: Encoder) -> Path:
    """A Python package that carries the files in a ``model`` folder; the package itself is not imported."""
    spec = find_spec(encoder.name)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f'encoder.name: expected an installed package, found no "{encoder.name}"; run `make setup`')
    return Path(spec.submodule_search_locations[0]) / "model"


def from_hub(encoder: Encoder) -> Path:
    """A pinned snapshot from the Hugging Face hub, out of its local cache when it is there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(encoder.name, revision=encoder.revision, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"encoder.name: expected {encoder.name} at {encoder.revision} on the hub or in its cache, "
            f"found {type(error).__name__}; check name, revision and network, or use encoder.source: path"
        ) from None


def from_path(encoder: Encoder) -> Path:
    """A folder on this machine."""
    return Path(encoder.name)


def digest(folder: Path) -> str:
    """SHA-256 of the weights; of several safetensors shards, of their concatenation in name order."""
    shards = sorted(folder.glob("*.safetensors"))
    if not shards or not (folder / "config.json").exists():
        raise UserError(
            f"encoder: expected config.json and *.safetensors in {folder}, found none; "
            "convert other formats with save_pretrained first"
        )
    total = hashlib.sha256()
    for shard in shards:
        with shard.open("rb") as file:
            while block := file.read(1 << 20):
                total.update(block)
    return total.hexdigest()


def tokenizer_digest(folder: Path) -> str:
    """SHA-256 of tokenizer.json; of an older encoder, which has none, of all the texts that make up its tokenizer."""
    own = folder / "tokenizer.json"
    parts = [own] if own.exists() else sorted(p for kind in ("*.json", "*.txt", "*.model") for p in folder.glob(kind))
    return hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()


def positions(folder: Path) -> int | None:
    """How many tokens an encoder can read; None where its config names no limit."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    length = config.get("max_position_embeddings")
    if length is not None and config.get("model_type") in AFTER_PADDING:
        return int(length) - config.get("pad_token_id", 1) - 1
    return None if length is None else int(length)


def load(folder: Path, **config: Any) -> tuple[Any, Any]:
    """Model without head, and fast tokenizer, from a folder; ``config`` overrides e.g. dropout."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModel.from_pretrained(
        folder, local_files_only=True, use_safetensors=True, attn_implementation="eager", **config
    )
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True)


def dropouts(folder: Path, value: float) -> dict[str, float]:
    """Config overrides that set each dropout of the encoder in ``folder``, whatever its architecture calls them."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, local_files_only=True).to_dict()
    return {key: value for key in config if "dropout" in key and isinstance(config[key], int | float)}


def pool(hidden: "torch.Tensor", mask: "torch.Tensor", pooling: str) -> "torch.Tensor":
    """Token vectors (batch, tokens, width) to unit-length text vectors (batch, width)."""
    import torch

    if pooling == "cls":
        pooled = hidden[:, 0]
    else:
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(pooled, dim=-1)
