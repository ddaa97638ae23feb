"""Spellings: what is certainly the same value, and what only looks alike."""

import pytest

from pipeline.sources.spelling import look_alike_key, plain_spelling, strip_invisible

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("delivery\u200b", "delivery"),
        ("\u2060delivery", "delivery"),
        ("\ufeffdelivery", "delivery"),
        ("de\u00adlivery", "delivery"),
        ("\u202adelivery\u202c", "delivery"),
        ("delivery\x00", "delivery"),
        ("delivery\u00a0", "delivery"),
        ("ｄｅｌｉｖｅｒｙ", "delivery"),
        ("ﾃｽﾄ", "テスト"),
        ("cafe\u0301", "café"),
        ("1.0", "1"),
        ("-2.00", "-2"),
        ("TRUE", "true"),
        ("False", "false"),
    ],
)
def test_spellings_that_are_certainly_the_same(value: str, plain: str) -> None:
    assert plain_spelling(value) == plain_spelling(plain) == plain


@pytest.mark.parametrize(
    "value", ["Delivery", "1.5", "1.10", "v1.0", "①", "m²", "tRUE", "A+", "C++", "café", FAMILY, SCOTLAND, "1,0"]
)
def test_spellings_that_may_mean_something_else_stay(value: str) -> None:
    assert plain_spelling(value) == value


def test_joiners_within_words_of_other_scripts_and_emoji_stay() -> None:
    for value in ("می\u200cخواهم", FAMILY, SCOTLAND):
        assert strip_invisible(value) == value
    assert strip_invisible("deli\u200dvery\u200d") == "delivery"
    assert strip_invisible("\u200b") == ""


@pytest.mark.parametrize(
    "values",
    [
        ("Delivery", "delivery", "DELIVERY"),
        ("not relevant", "not_relevant", "Not-Relevant", "not relevant.", "'not relevant'", "“Not relevant”"),
        ("1", "01", "1,0", "1.00", "+1"),
        ("1.5", "1,50"),
        ("1000", "1,000"),
        ("spam", "\u0455\u0440\u0430m"),  # Cyrillic letters
        ("①", "1"),
        ("straße", "STRASSE"),
        ("R&amp;D", "R&D"),
    ],
)
def test_spellings_that_look_alike(values: tuple[str, ...]) -> None:
    assert len({look_alike_key(value) for value in values}) == 1


@pytest.mark.parametrize(
    "values",
    [("A", "A+", "A-"), ("1", "-1", "10", "1.1", "1.10001"), ("C", "C++", "C#"), ("?", "??", "!"), ("a b", "ab"),
     ("cafe", "café")],
)  # fmt: skip
def test_spellings_that_do_not_look_alike(values: tuple[str, ...]) -> None:
    assert len({look_alike_key(value) for value in values}) == len(values)
