"""Label rules: labels are renamed, then dropped, then described; an impossible rule is one clear line."""

import json
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis it lost,a\nplease stop,b\n"


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
