"""The check of labels before anything is trained: what is certain is put right, what is a guess stops the run."""

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.commands.configure import configure
from pipeline.core.errors import UserError
from pipeline.core.params import load_params
from pipeline.core.stage import Paths
from pipeline.stages.ingest import run
from tests.support.ingesting import ROOT, csv_text, ingest, output, random_rows, write

OVERLAY = """
ingest:
  path: raw
  train: [train.csv]
  test: [test.csv]
  unlabelled: []
  columns: {text: [text], label: label, split: null, groups: {}}
"""


def labelled(counts: dict[str, int], seed: int = 0) -> list[tuple[str, str]]:
    """Rows of random words, so many of each label."""
    labels = list(Counter(counts).elements())
    return [(text, label) for (text, _), label in zip(random_rows(len(labels), seed), labels, strict=True)]


def write_rows(root: Path, train: dict[str, int], test: dict[str, int] | None = None) -> None:
    """Write train.csv and test.csv with so many rows of each label."""
    rows = labelled(test or {"billing": 10, "delivery": 10}, seed=1)
    write(root, train__csv=csv_text(labelled(train)), test__csv=csv_text(rows))


def labels_of(root: Path) -> list[str]:
    content: dict[str, list[str]] = json.loads((root / "data" / "ingest" / "labels.json").read_text())
    return content["labels"]


def stopped(root: Path, **changes: object) -> list[str]:
    """The lines of the error with which the stage stops."""
    with pytest.raises(UserError) as error:
        ingest(root, **changes)
    return str(error.value).splitlines()


def test_what_is_certain_is_joined_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path, {"billing": 9, "billing\u200b": 9, "ｄｅｌｉｖｅｒｙ": 9, "\u2060delivery": 9, "delivery": 9})
    metrics = ingest(tmp_path)
    assert labels_of(tmp_path) == ["billing", "delivery"]
    assert output(tmp_path, "train")["label"].value_counts().to_dict() == {"billing": 18, "delivery": 27}
    line = r'ingest.labels: "billing\u200b" (9 rows) is taken for "billing", from which it differs in spelling only'
    assert line in metrics["remarks"] and line in capsys.readouterr().err


@pytest.mark.parametrize(
    ("train", "test", "labels"),
    [
        ({"0.0": 9, "1.0": 9}, {"0": 9, "1": 9}, ["0", "1"]),
        ({"False": 9, "True": 9}, {"false": 9, "TRUE": 9}, ["False", "true"]),
        ({"FALSE": 9, "true": 9}, {"false": 9, "true": 9}, ["false", "true"]),
    ],
)
def test_numbers_and_booleans_have_one_spelling(
    tmp_path: Path, train: dict[str, int], test: dict[str, int], labels: list[str]
) -> None:
    write_rows(tmp_path, train, test)
    ingest(tmp_path)
    assert [label.lower() for label in labels_of(tmp_path)] == [label.lower() for label in labels]
    assert set(output(tmp_path, "test")["label"]) == set(output(tmp_path, "train")["label"])


def test_a_spelling_of_which_there_is_one_stays(tmp_path: Path) -> None:
    write_rows(tmp_path, {"1.0": 9, "2.0": 9, "2.5": 9}, {"1.0": 9, "2.0": 9, "2.5": 9})
    metrics = ingest(tmp_path)
    assert labels_of(tmp_path) == ["1.0", "2.0", "2.5"]
    assert metrics["remarks"] == []


def test_capitals_that_differ_stop_the_run_with_the_lines_that_settle_it(tmp_path: Path) -> None:
    write_rows(tmp_path, {"billing": 40, "Billing": 5, "delivery": 40})
    first, finding, how, settle = stopped(tmp_path)
    assert first.startswith("ingest.labels: expected labels beyond doubt, found 5 of 105 rows (5%) with a doubtful one")
    assert finding == (
        'ingest.labels: "Billing" (5 rows) looks like "billing" (50 rows) '
        '(one class: rename: {"Billing": "billing"}; right as it is: keep: ["Billing"])'
    )
    assert "gleaner configure settle.yaml" in how
    assert settle == 'ingest: {labels: {rename: {"Billing": "billing"}}}'
    assert not (tmp_path / "data" / "ingest" / "labels.json").exists()
    ingest(tmp_path, labels={"rename": {"Billing": "billing"}})
    assert labels_of(tmp_path) == ["billing", "delivery"]
    ingest(tmp_path, labels={"keep": ["Billing"]})
    assert labels_of(tmp_path) == ["Billing", "billing", "delivery"]


def test_the_last_line_of_the_error_can_be_pasted_and_settles_all(tmp_path: Path) -> None:
    train = {"billing": 30, "Billing": 5, "de livery": 3, "de_livery": 30, "nan": 5, "[x]": 4, "label": 3, 'a"b\\': 9}
    write_rows(tmp_path, train | {'A"b\\': 3}, {"billing": 9, "de_livery": 9, 'a"b\\': 3})
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    (tmp_path / "mine.yaml").write_text(OVERLAY + '  labels: {rename: {"billing": "bill"}, drop: [], missing: ["?"]}\n')
    configure(tmp_path / "mine.yaml", tmp_path / "params.yaml")
    with pytest.raises(UserError) as error:
        run(load_params(tmp_path / "params.yaml").ingest, Paths(tmp_path))
    (tmp_path / "settle.yaml").write_text(str(error.value).splitlines()[-1])
    configure(tmp_path / "settle.yaml", tmp_path / "params.yaml")
    metrics = run(load_params(tmp_path / "params.yaml").ingest, Paths(tmp_path))
    assert labels_of(tmp_path) == ["Billing", 'a"b\\', "bill", "de_livery"]
    assert metrics["rejected"] == {"dropped label": 7}
    assert len(output(tmp_path, "unlabelled")) == 5


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "NULL", "N/A", "#N/A", "<NA>", "-", "?", "n/a", "nan\u200b"])
def test_a_word_that_means_missing_stops_the_run(tmp_path: Path, word: str) -> None:
    write_rows(tmp_path, {"billing": 20, "delivery": 20, word: 10})
    _, finding, _, settle = stopped(tmp_path)
    shown = word.removesuffix("\u200b")
    assert finding == (
        f'ingest.labels: "{shown}" (10 rows) looks like a missing value '
        f'(no label: missing: ["{shown}"]; right as it is: keep: ["{shown}"])'
    )
    assert settle == f'ingest: {{labels: {{missing: ["{shown}"]}}}}'
    metrics = ingest(tmp_path, labels={"missing": [shown]})
    assert labels_of(tmp_path) == ["billing", "delivery"]
    assert metrics["rows"]["unlabelled"] == 10


def test_a_real_class_called_none_survives(tmp_path: Path) -> None:
    write_rows(tmp_path, {"None": 20, "delivery": 20}, {"None": 10, "delivery": 10})
    metrics = ingest(tmp_path, labels={"keep": ["None"]})
    assert labels_of(tmp_path) == ["None", "delivery"]
    assert metrics["remarks"] == []


def test_warn_tells_the_same_and_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_rows(tmp_path, {"billing": 20, "delivery": 20, "nan": 10})
    metrics = ingest(tmp_path, doubts="warn")
    assert '"nan" (10 rows) looks like a missing value' in metrics["remarks"][0]
    assert metrics["remarks"][0] in capsys.readouterr().err
    assert labels_of(tmp_path) == ["billing", "delivery", "nan"]


def test_a_doubt_about_few_rows_is_told_and_stops_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path, {"billing": 100, "delivery": 100, "Billing": 2})
    metrics = ingest(tmp_path)
    assert metrics["remarks"][0].startswith('ingest.labels: "Billing" (2 rows) looks like "billing" (110 rows)')
    assert stopped(tmp_path, max_doubtful_share=0.001)[0].startswith("ingest.labels: expected labels beyond doubt")


@pytest.mark.parametrize("value", ["[billing]", '{"name": "billing"}', "{billing,delivery}", "billing;delivery"])
def test_labels_that_look_like_containers_stop_the_run(tmp_path: Path, value: str) -> None:
    rows = [
        (text, '"' + label.replace('"', '""') + '"')
        for text, label in labelled({"billing": 9, "delivery": 9, value: 9})
    ]
    write(tmp_path, train__csv=csv_text(rows), test__csv=csv_text(labelled({"billing": 9, "delivery": 9}, seed=1)))
    lines = stopped(tmp_path)
    assert "looks like a list or an object" in lines[1] or 'looks like "billing" and "delivery" at once' in lines[1]
    rule = {"drop": [value]} if "delivery" in value else {"rename": {value: "billing"}}
    assert lines[-1].startswith(f"ingest: {{labels: {{{next(iter(rule))}: ")
    ingest(tmp_path, labels=rule)
    assert labels_of(tmp_path) == ["billing", "delivery"]


def test_a_rare_label_that_is_the_header_stops_the_run_and_a_class_of_that_name_does_not(tmp_path: Path) -> None:
    write_rows(tmp_path, {"billing": 40, "delivery": 40, "label": 3})
    assert "looks like the header of the column" in stopped(tmp_path)[1]
    write_rows(tmp_path, {"label": 40, "delivery": 40}, {"label": 10, "delivery": 10})
    assert ingest(tmp_path)["remarks"] == []


def test_a_class_that_no_training_row_has_stops_the_run(tmp_path: Path) -> None:
    write_rows(tmp_path, {"billing": 20, "delivery": 20}, {"billing": 10, "deliveries": 10})
    lines = stopped(tmp_path)
    assert lines[1].startswith('ingest.labels: "deliveries" (10 rows) occurs in test rows, but in no training row')
    metrics = ingest(tmp_path, labels={"keep": ["deliveries"]})
    assert metrics["remarks"] == ['ingest.labels: 1 class occurs in no test row: "delivery"']


def test_few_labels_are_told_and_stop_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path, {"billing": 1, "delivery": 1, "refund": 1}, {"billing": 1, "delivery": 1, "refund": 1})
    metrics = ingest(tmp_path)
    line = 'ingest.labels: 3 classes have under 3 labelled rows: "billing", "delivery", "refund"'
    assert metrics["remarks"] == [line]
    write_rows(tmp_path, {"billing": 30, "delivery": 30})
    assert ingest(tmp_path, labels_per_class=1)["remarks"] == []
    assert ingest(tmp_path, labels_per_class=0)["remarks"] == []


def test_the_notes_print_no_whole_text_where_cells_are_shifted(tmp_path: Path) -> None:
    labels = ["please send my last invoice", "cancellations_and_complaints_of_2026", "two words"]
    write_rows(tmp_path, {"billing": 30, **dict.fromkeys(labels, 1)}, {"billing": 9})
    remarks = " ".join(ingest(tmp_path, doubts="warn")["remarks"])
    for shown in ['"please send my last ..."', '"cancellations_and_co..."', '"two words"']:
        assert shown in remarks
    assert not any(label in remarks for label in labels[:2])


def test_a_spelling_in_quotes_is_taken_for_the_wrong_one(tmp_path: Path) -> None:
    write_rows(tmp_path, {"'billing'": 40, "'delivery'": 40})
    lines = stopped(tmp_path)
    assert lines[-1] == """ingest: {labels: {rename: {"'billing'": "billing", "'delivery'": "delivery"}}}"""
    assert not any("in no training row" in line for line in lines)


def test_true_and_1_look_alike_where_all_labels_are_booleans(tmp_path: Path) -> None:
    write_rows(tmp_path, {"true": 20, "false": 20}, {"1": 9, "0": 9})
    assert [line.split(" (one class")[0] for line in stopped(tmp_path)[1:3]] == [
        'ingest.labels: "1" (9 rows) looks like "true" (20 rows)',
        'ingest.labels: "0" (9 rows) looks like "false" (20 rows)',
    ]


def test_no_message_quotes_a_text_that_was_taken_for_a_label(tmp_path: Path) -> None:
    text = "my secret word is in this text, which somebody took for the column of the label by mistake"
    write(
        tmp_path,
        train__csv=f'text,label\none,"{text}"\ntwo,"{text.upper()}"\nthree,b\nfour,b\n',
        test__csv="text,label\nx,b\n",
    )
    assert "secret" not in "\n".join(stopped(tmp_path)).lower()


def test_a_class_that_a_few_labels_lack_by_chance_stops_nothing(tmp_path: Path) -> None:
    write_rows(tmp_path, {"billing": 3, "delivery": 3}, {"billing": 20, "delivery": 20, "refund": 5})
    assert ingest(tmp_path)["remarks"] == [
        'ingest.labels: "refund" (5 rows) occurs in test rows, but in no training row'
    ]
