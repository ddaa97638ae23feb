"""A new tokenizer and a small new encoder for a language that has no published one."""

from typing import Any

from pipeline.params import Pretrain, Scratch
from pipeline.scripts import SPACELESS

SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}


def train_tokenizer(texts: list[str], params: Scratch, max_length: int) -> Any:
    """A byte-level BPE tokenizer of at most ``params.vocabulary`` pieces, in lower case; no character is unknown to it.

    In a script without spaces what stands between two commas is merged like a word, so that frequent words become
    pieces: characters alone say less of a text. Not WordPiece or Unigram: their trainers in ``tokenizers`` number the
    pieces differently in each run.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    runs = pre_tokenizers.Split(Regex(f"{SPACELESS}+"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([runs, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.vocabulary,
        special_tokens=list(SPECIAL.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {piece: i for i, piece in enumerate(SPECIAL.values())}  # the trainer numbers them first
    last, first = ((SPECIAL[name], ids[SPECIAL[name]]) for name in ("sep_token", "cls_token"))
    tokenizer.post_processor = processors.BertProcessing(last, first)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, **SPECIAL)


def config(tokenizer: Any, params: Pretrain, max_length: int) -> Any:
    """A BERT of the size that ``params.scratch`` says, for texts of up to ``max_length`` tokens."""
    from transformers import BertConfig

    size = params.scratch
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=size.hidden,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=4 * size.hidden,
        max_position_embeddings=max_length,
        pad_token_id=tokenizer.pad_token_id,
        hidden_dropout_prob=params.dropout,
        attention_probs_dropout_prob=params.dropout,
    )
