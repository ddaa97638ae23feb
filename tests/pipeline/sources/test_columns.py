"""The column mapping: text columns are joined, groups are binned, and unknown columns or splits are one clear line."""

from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.sources.columns import bin_name
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis my parcel lost,where\nplease cancel the order,stop\n"
TRAIN = "text,label\nwhere is my parcel,where\nI want to cancel,stop\n"


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


def test_a_missing_column_is_an_error_that_lists_those_found(tmp_path: Path) -> None:
    write(tmp_path, train__csv="body,intent\na,b\n", test__csv=TEST)
    with pytest.raises(UserError, match="train.csv: expected.*missing text, label, found body, intent"):
        ingest(tmp_path)


def test_the_first_row_of_a_file_without_a_header_is_not_quoted(tmp_path: Path) -> None:
    write(tmp_path, train__csv=TRAIN.split("\n", 1)[1], test__csv=TEST)
    with pytest.raises(UserError, match=r"found a first row of 2 cells that are no names \(is there a header\?\)"):
        ingest(tmp_path)


def test_an_unknown_split_is_quoted_only_if_it_is_one_word(tmp_path: Path) -> None:
    for split, quoted in (("tset", '"tset"'), ("where is my parcel", "18 characters")):
        write(tmp_path, train__csv=f"text,label,part\nwhere is my parcel,where,{split}\n", test__csv=TEST)
        with pytest.raises(UserError, match=f"train.csv:2: .* in the column part, found {quoted}; correct it"):
            ingest(tmp_path, columns={"split": "part"})
