"""A WordPiece vocabulary that is the same in every process: the library's trainer breaks ties at random."""

from collections import Counter

from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def vocabulary(texts: list[str], size: int) -> dict[str, int]:
    """Every character, at a word's start and inside one, then the most frequent words, up to ``size`` tokens in all."""
    normalise, split = BertNormalizer(lowercase=True), BertPreTokenizer()
    words = Counter(word for text in texts for word, _ in split.pre_tokenize_str(normalise.normalize_str(text)))
    characters = sorted({character for word in words for character in word})
    frequent = sorted((word for word in words if len(word) > 1), key=lambda word: (-words[word], word))
    tokens = [*SPECIAL, *characters, *(f"##{character}" for character in characters), *frequent]
    return {token: number for number, token in enumerate(tokens[:size])}
