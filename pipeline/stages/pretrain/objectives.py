"""The objectives of pretraining: masked words (mlm), or two views of a text under dropout (simcse)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.params import Pretrain
from pipeline.stages.pretrain.packing import packed_inputs
from pipeline.training.batches import Batch, model_inputs
from pipeline.training.mlm_masking import IGNORED, mask_batch, mask_rows, word_indices

Tokens = list[list[int]]
Words = list[list[int | None]]  # the index of the word that each token belongs to; None for special tokens


def create_model(config: Any, located: Path | None, params: Pretrain, pooling: str) -> Any:
    """The model of ``params.objective``: weights from the folder ``located``, or new ones where it is None.

    Raises UserError when the architecture has no masked-language head.
    """
    import torch
    from transformers import AutoModel, AutoModelForMaskedLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    if params.objective == "mlm" and config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES:
        raise UserError(
            f"pretrain.objective: expected an encoder with a masked-language head for mlm, found {config.model_type}; "
            "use simcse"
        )
    auto = AutoModelForMaskedLM if params.objective == "mlm" else AutoModel
    if located is None:
        encoder = auto.from_config(config, trust_remote_code=False)
    else:
        options = {"local_files_only": True, "use_safetensors": True, "dtype": torch.float32}
        encoder = auto.from_pretrained(located, config=config, trust_remote_code=False, **options)
    if params.objective == "mlm":
        return encoder

    from pipeline.stages.pretrain.simcse import SimCSE

    return SimCSE(encoder, pooling, params.temperature)


def base_encoder(model: Any) -> Any:
    """The encoder of a model, without the objective's head."""
    return model.base_model if hasattr(model, "base_model") else model.encoder


def tokenise(texts: list[str], tokenizer: Any, max_length: int) -> tuple[Tokens, Words]:
    """Token ids of each text, cut at ``max_length``, and the index of the word that each token belongs to."""
    encoded = tokenizer(texts, truncation=True, max_length=max_length)
    return encoded["input_ids"], word_indices(encoded, tokenizer)


def make_collator(
    rows: Tokens, words: Words, tokenizer: Any, params: Pretrain, max_length: int
) -> Callable[[Batch], dict[str, Any]]:
    """The function from a batch to the objective's inputs; with ``params.packing``, packs of ``max_length`` tokens.

    Raises UserError for mlm with a tokenizer that has no mask token.
    """
    if params.objective == "simcse":
        return lambda batch: model_inputs([rows[row] for _, row in batch], tokenizer.pad_token_id)
    if tokenizer.mask_token_id is None:
        raise UserError("pretrain.objective: expected a tokenizer with a mask token for mlm, found none; use simcse")

    def collate_packed(batch: Batch) -> dict[str, Any]:
        masked, targets = mask_rows(batch, rows, words, tokenizer, params.mask_probability, params.seed)
        count = params.batch_size if params.compile else None  # one shape, so that it is compiled once
        return packed_inputs(masked, targets, tokenizer.pad_token_id, IGNORED, max_length, count)

    def collate(batch: Batch) -> dict[str, Any]:
        masked, targets = mask_batch(batch, rows, words, tokenizer, params.mask_probability, params.seed)
        return model_inputs(masked, tokenizer.pad_token_id) | {"labels": targets}

    return collate_packed if params.packing else collate
