"""A new tokenizer and a small new encoder for a language that has no published one."""

from typing import Any

from pipeline.core.params import Pretrain, Scratch
from pipeline.text.scripts import SPACELESS

SPECIAL = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}

# What may become a piece: a clause of a script without spaces, a word with the space before it and its marks (vowels of
# Hindi and Thai are marks), what follows an apostrophe, a number, punctuation, white space.
LETTER = rf"(?:(?!{SPACELESS})\p{{L}}\p{{M}}*)"
PIECES = (
    rf"(?:{SPACELESS}\p{{M}}*)+|['’]{LETTER}+| ?{LETTER}+| ?\p{{N}}+"
    rf"| ?(?:(?!{SPACELESS})[^\s\p{{L}}\p{{N}}])+|\s+(?!\S)|\s+"
)
COMMON = 5  # texts have a piece of several characters so often, or it stays in parts: nobody's sentence becomes one
LONGEST = 24  # bytes of a piece


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
    split = pre_tokenizers.Split(Regex(PIECES), behavior="isolated")
    bytes_of = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_of])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.vocabulary,
        min_frequency=COMMON,
        max_token_length=LONGEST,
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
