"""Ingest maps columns and labels, and makes text clean without making it hard to read."""

import json
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.sources.clean import mask, tidy
from pipeline.sources.columns import bin_name
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis it lost,a\nplease stop,b\n"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("cafe\u0301", "caf\u00e9"),
        ("  a\tb \u00a0 c  ", "a b c"),
        ("one\r\n\r\n two\x0bthree ", "one\ntwo\nthree"),
        ("a\x00b\x07c\x9d\ufeff", "abc"),
        ("family 👩\u200d👧", "family 👩\u200d👧"),
    ],
)
def test_text_is_normalised_and_stays_readable(raw: str, clean: str) -> None:
    assert tidy(raw) == clean
    assert tidy(clean) == clean


@pytest.mark.parametrize(
    ("raw", "masked"),
    [
        ("write to jo.doe+x@mail.example.co.uk, now", "write to [EMAIL], now"),
        ("card 4111 1111 1111 1111 12/27", "card [CARD] 12/27"),
        ("paid with 5500-0000-0000-0004.", "paid with [CARD]."),
        ("order 4111111111111112 is late", "order 4111111111111112 is late"),
        ("order 41111111111111111234567 is late", "order 41111111111111111234567 is late"),
        ("to de89 3704 0044 0532 0130 00 and GB29NWBK60161331926819 today", "to [IBAN] and [IBAN] today"),
        ("ref AB12 DE89370400440532013000 thanks", "ref AB12 [IBAN] thanks"),
        ("to DE88 3704 0044 0532 0130 00 today", "to DE88 3704 0044 0532 0130 00 today"),
        ("call (415) 555-2671 or +44 20 7946 0958!", "call [PHONE] or [PHONE]!"),
        ("in 2024 I bought 3 for 19.99", "in 2024 I bought 3 for 19.99"),
    ],
)
def test_personal_data_is_masked_and_other_numbers_stay(raw: str, masked: str) -> None:
    assert mask(raw, "US") == masked


def test_phone_numbers_without_country_need_a_region() -> None:
    assert mask("call 415-555-2671 or +1 415 555 2671", None) == "call 415-555-2671 or [PHONE]"


def test_masking_is_off_unless_asked_for(tmp_path: Path) -> None:
    write(tmp_path, train__csv="text,label\nmail a@b.com,a\nother,b\n", test__csv=TEST)
    ingest(tmp_path)
    assert output(tmp_path, "train")["text"].tolist()[0] == "mail a@b.com"
    ingest(tmp_path, mask_pii=True)
    assert output(tmp_path, "train")["text"].tolist()[0] == "mail [EMAIL]"
    with pytest.raises(UserError, match='ingest.phone_region: expected a country code.*found "XX"'):
        ingest(tmp_path, mask_pii=True, phone_region="XX")


def test_text_columns_are_joined_and_empty_ones_skipped(tmp_path: Path) -> None:
    rows = "title,body,label\nLate,Where is it?,a\n,Only a body,b\nOnly a title,,b\n,,b\n"
    write(tmp_path, train__csv=rows, test__csv="title,body,label\nx,y,a\n")
    ingest(tmp_path, columns={"text": ["title", "body"]}, join=": ")
    assert output(tmp_path, "train")["text"].tolist() == ["Late: Where is it?", "Only a body", "Only a title"]
    assert rejected(tmp_path) == {"train.csv:5": "empty text"}


def test_group_attributes_are_kept_and_binned(tmp_path: Path) -> None:
    rows = "text,label,Age,Sex\none,a,29,f\ntwo,b,30,\nthree,b,45.0,m\nfour,b,unknown,m\n"
    write(tmp_path, train__csv=rows, test__csv="text,label,Age,Sex\nfive,a,44.5,f\n", pool__csv="text\nno groups\n")
    columns = {"groups": {"age": "Age", "sex": "Sex"}}
    metrics = ingest(tmp_path, columns=columns, group_bins={"age": [30, 45]}, unlabelled=["pool.csv"])
    train = output(tmp_path, "train")
    assert train["group.age"].fillna("null").tolist() == ["<30", "30-44", ">=45", "null"]
    assert train["group.sex"].fillna("null").tolist() == ["f", "null", "m", "m"]
    assert output(tmp_path, "unlabelled")["group.sex"].isna().all()
    assert metrics["groups_missing"] == {"age": 2, "sex": 2}


def test_bins_have_readable_names() -> None:
    assert bin_name("0.6", [0.5, 0.7]) == "0.5 to <0.7"
    assert bin_name("nan", [30]) is None
    assert bin_name("-3", [30]) == "<30"


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"size": [1.0]}, "ingest.group_bins.size: expected an attribute of ingest.columns.groups, found age"),
        ({"age": [45.0, 30.0]}, "ingest.group_bins.age: expected edges that rise"),
    ],
)
def test_impossible_bins_are_an_error(tmp_path: Path, bins: dict, message: str) -> None:
    write(tmp_path, train__csv="text,label,Age\na,a,3\nb,b,4\n", test__csv="text,label,Age\nc,a,3\n")
    with pytest.raises(UserError, match=message):
        ingest(tmp_path, columns={"groups": {"age": "Age"}}, group_bins=bins)


def test_labels_are_renamed_then_dropped_and_described(tmp_path: Path) -> None:
    train = "text,label\none,0\ntwo,1\nthree,2\nfour,3\nfive,\n"
    write(tmp_path, train__csv=train, test__csv="text,label\nsix,0\nseven,\n")
    rules = {"rename": {"0": "no", "1": "yes", "2": "yes"}, "drop": ["3"], "descriptions": {"yes": "agrees"}}
    ingest(tmp_path, labels=rules)
    assert output(tmp_path, "train")["label"].tolist() == ["no", "yes", "yes"]
    assert output(tmp_path, "unlabelled")["text"].tolist() == ["five"]
    assert rejected(tmp_path) == {"train.csv:5": "dropped label", "test.csv:3": "no label"}
    content = json.loads((tmp_path / "data" / "ingest" / "labels.json").read_text())
    assert content == {"labels": ["no", "yes"], "descriptions": {"yes": "agrees"}}


def test_two_labels_can_swap_names(tmp_path: Path) -> None:
    write(tmp_path, train__csv="text,label\none,a\ntwo,b\n", test__csv=TEST)
    ingest(tmp_path, labels={"rename": {"a": "b", "b": "a"}})
    assert output(tmp_path, "train")["label"].tolist() == ["b", "a"]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"rename": {"c": "d"}}, 'ingest.labels.rename: expected labels of the data, found "c"; there are a, b'),
        ({"drop": ["c"]}, 'ingest.labels.drop: expected labels of the data, found "c"'),
        ({"descriptions": {"c": "see"}}, 'ingest.labels.descriptions: expected labels of the data, found "c"'),
        ({"rename": {"a": "b"}}, "expected at least 2 labels among the usable rows, found 1"),
    ],
)
def test_impossible_label_rules_are_an_error(tmp_path: Path, rules: dict, message: str) -> None:
    write(tmp_path, train__csv="text,label\none,a\ntwo,b\n", test__csv=TEST)
    with pytest.raises(UserError, match=message):
        ingest(tmp_path, labels=rules)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ("one,a\ntwo,a\n", "three,b\n", "ingest.train: expected labelled training rows of at least 2 classes, found 2"),
        ("one,\ntwo,\n", "three,b\nfour,a\n", "ingest.train: expected .* found 0 rows of 0"),
        ("one,a\ntwo,b\n", "three,\n", "test.csv: expected at least one usable row, found 1 no label"),
    ],
)
def test_data_that_cannot_train_or_test_is_an_error(tmp_path: Path, train: str, test: str, message: str) -> None:
    write(tmp_path, train__csv=f"text,label\n{train}", test__csv=f"text,label\n{test}")
    with pytest.raises(UserError, match=message):
        ingest(tmp_path)


def test_no_message_quotes_the_text_of_a_row(tmp_path: Path) -> None:
    write(tmp_path, train__csv="text,label\nsecret,\n", test__csv="text,label\nsecret too,\n")
    with pytest.raises(UserError) as error:
        ingest(tmp_path)
    assert "secret" not in str(error.value)
