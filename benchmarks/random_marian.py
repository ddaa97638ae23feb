"""A pair of Marian models with random weights, for ratios of speed, and nlpaug's back-translation on them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The sizes of the published OPUS-MT models, with fewer layers and tokens: a ratio needs no more.
SIZES: dict[str, Any] = {"d_model": 256, "vocab_size": 8000, "max_position_embeddings": 512}
LAYERS = {"layers": 3, "attention_heads": 8, "ffn_dim": 1024}


def write_pair(tokenizer_folder: Path, folder: Path) -> list[Path]:
    """The folders of two models with random weights, below ``folder``; their tokenizer is a cut one of an encoder."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    vocabulary = json.loads((tokenizer_folder / "tokenizer.json").read_text())["model"]["vocab"]
    words = sorted(vocabulary, key=vocabulary.__getitem__)[999 : 999 + SIZES["vocab_size"] - 3]
    numbered = {word: i for i, word in enumerate(["</s>", "<unk>", "<pad>", *words])}
    tokenizer = Tokenizer(models.WordLevel(numbered, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>", unk_token="<unk>", pad_token="<pad>")
    layers: dict[str, Any] = {f"{side}_{key}": size for side in ("encoder", "decoder") for key, size in LAYERS.items()}
    special: dict[str, Any] = {"pad_token_id": 2, "eos_token_id": 0, "decoder_start_token_id": 2}
    pair = [folder / "there", folder / "back"]
    for seed, target in enumerate(pair):
        torch.manual_seed(seed)
        MarianMTModel(MarianConfig(**SIZES, **layers, **special)).save_pretrained(target)
        fast.save_pretrained(target)
    return pair


def nlpaug_translator(folders: list[Path], texts: list[str], longest: int, beams: int) -> Callable[[], Any]:
    """nlpaug's back-translation of the texts in batches of 32, with up to ``longest`` tokens and so many beams."""
    from nlpaug.augmenter.word import BackTranslationAug

    there, back = map(str, folders)
    # Otherwise nlpaug gives every translator of a pair the same models, and the beams set last count for all of them.
    BackTranslationAug.clear_cache()  # nlpaug 1.1.11 ignores its own force_reload
    augmenter = BackTranslationAug(there, back, device="cpu", batch_size=32, max_length=longest)
    for model in (augmenter.model.src_model, augmenter.model.tgt_model):
        model.generation_config.num_beams = beams
    return lambda: augmenter.augment(texts)
