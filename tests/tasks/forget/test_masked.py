"""A row that only the masked form of a text names may be another person's, and the lines say so."""

import re
from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.params import read_yaml, to_yaml
from tests.support import night_project
from tests.support.forgetting import forget
from tests.support.operated_project import SECRET, register

pytestmark = pytest.mark.slow


def mask_contacts(root: Path, *rows: tuple[str, str]) -> None:
    """Add these rows to the raw data, and ingest with personal data masked."""
    params = read_yaml(root / "params.yaml")
    params["ingest"]["mask_pii"] = True
    (root / "params.yaml").write_text(to_yaml(params))
    raw = pd.read_csv(root / "raw" / "train.csv", dtype=str)
    added = pd.DataFrame(rows, columns=["text", "label"])
    pd.concat([raw, added]).to_csv(root / "raw" / "train.csv", index=False)
    night_project.run_ingest(root)
    register(root)


def test_a_row_that_only_its_masked_form_names_may_be_of_another_person(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask_contacts(root, ("please write to john@example.com", "refund"), ("ada@example.com is mine", "refund"))
    wanted = tmp_path / "person.txt"
    wanted.write_text("please write to anna@example.com\n")
    note = "found by its masked form: it may be another person's; name rows by their ids to be sure"
    assert forget(root, match=wanted, dry_run=True) == 1
    printed = capsys.readouterr().out
    assert f"data/ingest/train.parquet: 1 row, {note}\n" in printed
    assert re.search(f"raw/train.csv: record \\d+, {note}; it is yours", printed)
    assert "version 2 (challenger): train, found by the masked form of a text: they may be another person's" in printed
    row = table.row_id("raw", "please write to [EMAIL]")
    for texts in (f"please write to anna@example.com\n{row}\n", "please write to [EMAIL]\n"):
        wanted.write_text(texts)
        assert forget(root, match=wanted, dry_run=True) == 1
        assert "masked form" not in capsys.readouterr().out
    wanted.write_text("please write to john@example.com\n")
    assert forget(root, match=wanted, dry_run=True) == 1
    printed = capsys.readouterr().out
    assert re.search("raw/train.csv: record \\d+; it is yours", printed) and f"train.parquet: 1 row, {note}" in printed
    wanted.write_text(f"{SECRET}\nplease write to anna@example.com\n")
    forget(root, match=wanted, dry_run=True)
    assert f"data/ingest/train.parquet: 2 rows, 1 of them {note}\n" in capsys.readouterr().out
