"""Predictions of a registered version for an input that has labels: both are kept, and compared."""

import csv
import io
import json
from pathlib import Path

import pytest

from pipeline.commands.predict import Request, predict_file
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.errors import UserError
from pipeline.sources.text_format import Choice
from tests.support.word_bundle import build


def test_a_registered_version_is_named_and_what_the_input_has_is_kept_and_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = {"refund": [4.0, 0], "money": [4.0, 0], "parcel": [0, 4.0], "courier": [0, 4.0]}
    bundle = build(tmp_path / "bundle", words, ["refund", "delivery"])
    served = ServedBundle(bundle, "3", "answers of gleaner-demo version 3 (champion)")
    texts = [("refund", "refund"), ("money", "delivery"), ("parcel", '["delivery"]'), ("courier", ""), ("x", "praise")]
    path = tmp_path / "in.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *texts, ("", "refund")])
    out = io.StringIO()
    predict_file(Request(str(path), served, Choice(), score=True), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == ["text", "label", "label_predicted", "confidence", "version"]
    assert [row["label"] for row in rows] == [label for _, label in texts] + ["refund"]
    assert [row["label_predicted"] for row in rows][:4] == ["refund", "refund", "delivery", "delivery"]
    assert {row["version"] for row in rows} == {"3"}
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == served.note
    left_out = "1 of a class that the model does not know, 1 without a label, 1 without a readable text"
    assert lines[-1] == f"score: accuracy 0.6667, macro-F1 0.6667 on 3 of 6 rows; not scored: {left_out}"

    objects = [{"text": "refund", "class": "refund"}, {"text": "money", "version": 1, "label_old": "x"}, {"text": "no"}]
    path = tmp_path / "in.jsonl"
    path.write_text("\n".join(map(json.dumps, objects)))
    out = io.StringIO()
    predict_file(Request(str(path), served, Choice(), score=True, label_column="class"), out)
    answers = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [(row.get("version"), row["version_predicted"]) for row in answers] == [(None, "3"), (1, "3"), (None, "3")]
    assert "accuracy 1.0000, macro-F1 1.0000 on 1 of 3 rows; not scored: 2 without a label" in capsys.readouterr().err
    with pytest.raises(UserError, match="expected the column label with the right labels, found none"):
        predict_file(Request(str(path), served, Choice(), score=True), out)
