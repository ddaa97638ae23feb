"""A new tokenizer and a small new encoder, trained from scratch for a language that has no published one."""

from typing import Any

from pipeline.core.params import Pretrain, Scratch
from pipeline.text.scripts import UNSPACED_SCRIPTS

SPECIAL_TOKENS = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}

# A piece is merged inside one match of PIECE: a clause of a script without spaces; a word with the space before it and
# its marks (vowels of Hindi and Thai are marks); what follows an apostrophe; a number; punctuation; or white space.
LETTER = rf"(?:(?!{UNSPACED_SCRIPTS})\p{{L}}\p{{M}}*)"
PIECE = (
    rf"(?:{UNSPACED_SCRIPTS}\p{{M}}*)+|['’]{LETTER}+| ?{LETTER}+| ?\p{{N}}+"
    rf"| ?(?:(?!{UNSPACED_SCRIPTS})[^\s\p{{L}}\p{{N}}])+|\s+(?!\S)|\s+"
)
# Two pieces are merged only if they stand together this often, so that no sentence of one person becomes a piece.
MIN_FREQUENCY = 5
MAX_PIECE_BYTES = 24  # a longer piece would be a phrase of the corpus, not a word


def train_tokenizer(texts: list[str], params: Scratch, max_length: int) -> Any:
    """A byte-level BPE tokenizer (Sennrich et al. 2016) of at most ``params.vocabulary`` pieces, in lower case.

    No character is unknown to it. In a script without spaces, the text between two commas is merged like a word, so
    that frequent words become pieces: single characters say less of a text. The trainers of WordPiece and Unigram in
    ``tokenizers`` would number the pieces differently in each run.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(PIECE), behavior="isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.vocabulary,
        min_frequency=MIN_FREQUENCY,
        max_token_length=MAX_PIECE_BYTES,
        special_tokens=list(SPECIAL_TOKENS.values()),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    ids = {piece: i for i, piece in enumerate(SPECIAL_TOKENS.values())}  # the trainer numbers them first
    last, first = ((SPECIAL_TOKENS[name], ids[SPECIAL_TOKENS[name]]) for name in ("sep_token", "cls_token"))
    tokenizer.post_processor = processors.BertProcessing(last, first)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, **SPECIAL_TOKENS)


def create_config(tokenizer: Any, params: Pretrain, max_length: int) -> Any:
    """The config of a BERT of the size in ``params.scratch``, for texts of up to ``max_length`` tokens."""
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
