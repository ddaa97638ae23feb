"""The values of group attributes: spellings are joined, doubts stop the run, rules of params settle them."""

from pathlib import Path

import pytest

from pipeline.commands.configure import configure
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.stages.ingest import run
from tests.support.ingesting import ROOT, ingest, output, random_rows, write

OVERLAY = """
ingest:
  path: raw
  train: [train.csv]
  test: [test.csv]
  unlabelled: []
  columns: {text: [text], label: label, split: null, groups: {sex: sex, age: age}}
  group_bins: {age: [30]}
"""
COLUMNS = {"columns": {"groups": {"sex": "sex"}}}


def write_groups(root: Path, groups: list[str]) -> None:
    """Write train.csv and test.csv whose rows have these groups in turn, and an age that is often unknown."""
    for name, count, seed in (("train", 40, 0), ("test", 20, 1)):
        rows = [
            f"{text},{'ab'[i % 2]},{groups[i % len(groups)]},{'nan' if i % 2 else 20}\n"
            for i, (text, _) in enumerate(random_rows(count, seed))
        ]
        write(root, **{f"{name}__csv": "text,label,sex,age\n" + "".join(rows)})


def test_spellings_of_a_group_are_joined_and_told(tmp_path: Path) -> None:
    write_groups(tmp_path, ["f", "f\u200b", "ｆ", "m"])
    metrics = ingest(tmp_path, **COLUMNS)
    assert set(output(tmp_path, "train")["group.sex"]) == {"f", "m"}
    changed, is_told = r'"f\u200b" (15 rows), "ｆ" (15 rows)', "from which they differ in spelling only"
    assert metrics["remarks"] == [f'ingest.group_values, attribute "sex": {changed} are taken for "f", {is_told}']


def test_doubtful_groups_stop_the_run_and_the_last_line_settles_them(tmp_path: Path) -> None:
    write_groups(tmp_path, ["f", "f", "F", "m", "N/A"])
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(OVERLAY)
    configure(tmp_path / "mine.yaml", tmp_path / "params.yaml")
    with pytest.raises(UserError) as error:
        run(load_params(tmp_path / "params.yaml").ingest, Paths(tmp_path))
    first, *findings, _, settle = str(error.value).splitlines()
    assert "found 24 of 60 rows (40%)" in first and 'group attribute "sex"' in first
    assert findings == [
        (
            'ingest.group_values, attribute "sex": "N/A" (12 rows) looks like a missing value '
            '(no group: missing: {"sex": ["N/A"]}; right as it is: keep: {"sex": ["N/A"]})'
        ),
        (
            'ingest.group_values, attribute "sex": "F" (12 rows) looks like "f" (24 rows) '
            '(one group: rename: {"sex": {"F": "f"}}; right as it is: keep: {"sex": ["F"]})'
        ),
    ]
    (tmp_path / "settle.yaml").write_text(settle)
    configure(tmp_path / "settle.yaml", tmp_path / "params.yaml")
    run(load_params(tmp_path / "params.yaml").ingest, Paths(tmp_path))
    groups = output(tmp_path, "train")["group.sex"]
    assert groups.value_counts().to_dict() == {"f": 24, "m": 8} and groups.isna().sum() == 8
    assert output(tmp_path, "train")["group.age"].notna().sum() == 20


def test_a_group_called_none_can_be_kept(tmp_path: Path) -> None:
    write_groups(tmp_path, ["None", "Islam"])
    ingest(tmp_path, **COLUMNS, group_values={"rename": {}, "missing": {}, "keep": {"sex": ["None"]}})
    assert set(output(tmp_path, "train")["group.sex"]) == {"None", "Islam"}


def test_a_rule_for_an_unknown_attribute_is_an_error(tmp_path: Path) -> None:
    write_groups(tmp_path, ["f", "m"])
    with pytest.raises(UserError, match="ingest.group_values.missing.age: expected an attribute .*, found sex"):
        ingest(tmp_path, **COLUMNS, group_values={"rename": {}, "missing": {"age": ["nan"]}, "keep": {}})
