"""The words of a text in any script, and the tokens that belong to them."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from pipeline.attribution.words import alignment, keep_words, word_spans

FAMILY = "👨‍👩‍👧"
MIXED = f"Café l’été don't wait: 我的包裹 {FAMILY}👍🏽 e\u0301t\u0301 สวัสดี x2"


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("where is  my parcel?", ["where", "is", "my", "parcel", "?"]),
        ("don't l’été well-known", ["don't", "l’été", "well-known"]),
        ("e\u0301te\u0301 CAFÉ", ["e\u0301te\u0301", "CAFÉ"]),
        ("我的包裹，没到", ["我", "的", "包", "裹", "，", "没", "到"]),
        (f"{FAMILY}👍🏽 ok", [FAMILY, "👍🏽", "ok"]),
        ("มี", ["มี"]),
        ("한국어 текст עברית", ["한국어", "текст", "עברית"]),
        ("a\u00a0b\n\tc", ["a", "b", "c"]),
        ("-x- 'y'", ["-", "x", "-", "'", "y", "'"]),
        ("", []),
    ],
)
def test_words_are_what_a_reader_would_call_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_every_character_but_white_space_is_in_exactly_one_word() -> None:
    covered = [position for start, end in word_spans(MIXED) for position in range(start, end)]
    assert covered == [position for position, character in enumerate(MIXED) if not character.isspace()]


def test_removing_words_keeps_the_rest_in_order() -> None:
    text = "where is  my, parcel?"
    kept = np.array([True, False, True, False, True, True])
    assert keep_words(text, word_spans(text), kept) == "where my parcel?"
    assert keep_words("我的包裹", word_spans("我的包裹"), np.array([True, False, True, True])) == "我包裹"
    assert keep_words(text, word_spans(text), np.zeros(6, dtype=bool)) == ""


def wordpiece(tiny_encoder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(tiny_encoder / "tokenizer.json"))


def byte_level(tiny_encoder: Path) -> Tokenizer:
    """A tokenizer of bytes: an emoji is many tokens, and a space belongs to the token after it."""
    alphabet = {byte: i for i, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(alphabet, [("Ġ", "w")] if "Ġw" in alphabet else []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def unigram(tiny_encoder: Path) -> Tokenizer:
    """A tokenizer of pieces with a space in front, some longer than a word."""
    pieces = [("▁", -5.0), ("▁where", -1.0), ("▁is,", -1.0), ("▁我的包", -1.0), ("裹", -2.0), ("<unk>", -9.0)]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=5))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return tokenizer


@pytest.mark.parametrize("make", [wordpiece, byte_level, unigram])
@pytest.mark.parametrize("text", [MIXED, "where is, 我的包裹 where", "  refund\u00a0 please "])
def test_each_token_belongs_to_the_words_that_it_covers_or_to_the_rest(tiny_encoder: Path, make, text: str) -> None:  # type: ignore[no-untyped-def]
    encoding = make(tiny_encoder).encode(text)
    spans = word_spans(text)
    shares = alignment(encoding, spans)
    assert shares.shape == (len(encoding.ids), len(spans) + 1)
    assert np.allclose(shares.sum(axis=1), 1)
    for token, (start, end) in enumerate(encoding.offsets):
        touched = {word for word, (first, last) in enumerate(spans) if first < end and start < last}
        if not encoding.special_tokens_mask[token]:
            assert set(np.flatnonzero(shares[token, :-1])) == touched


def test_all_tokens_of_a_word_belong_to_it_and_a_token_of_several_words_is_shared(tiny_encoder: Path) -> None:
    emoji = byte_level(tiny_encoder).encode("a 👍")
    assert alignment(emoji, word_spans("a 👍"))[-4:, 1].tolist() == [1, 1, 1, 1]
    shares = alignment(unigram(tiny_encoder).encode("is, 我的包裹"), word_spans("is, 我的包裹"))
    assert shares[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0, 0, 0, 0, 0])
    assert shares[1].tolist() == pytest.approx([0, 0, 1 / 3, 1 / 3, 1 / 3, 0, 0])


def test_accents_that_the_tokenizer_strips_do_not_shift_the_alignment(tiny_encoder: Path) -> None:
    text = "Çà réfund thänks"
    encoding = wordpiece(tiny_encoder).encode(text)
    shares = alignment(encoding, word_spans(text))
    refund = [token for token, (start, end) in enumerate(encoding.offsets) if 3 <= start < end <= 9]
    assert refund
    assert shares[refund, 1].tolist() == [1.0] * len(refund)
