"""The summary of the report: the gate's verdict and what stands out."""

from pathlib import Path

import pytest

from pipeline.core.stage import Paths
from pipeline.stages.report import summary
from pipeline.stages.report.gather import Results, gather
from tests.support.report_inputs import write_run
from tests.support.reporting import change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


@pytest.fixture
def results(root: Path) -> Results:
    return gather(Paths(root))


def test_the_summary_has_the_verdict_of_the_gate_and_what_the_model_learned_from(root: Path) -> None:
    change_json(root / "data/evaluate/metrics.json", test_rows=400)
    page, card = run_report(root)
    assert "pass It meets every limit of the gate." in page.text
    assert "What to try next" not in page.text
    learned = (
        "It learned from 32 rows with a gold label, 30 copies with synonyms, 28 back-translations, 3 copies with "
        "exchanged identity terms, 50 rows with a pseudo-label. The pool has 56 rows."
    )
    assert learned in page.text and learned in card
    change_json(root / "data/evaluate/metrics.json", accuracy=0.1)
    page, _ = run_report(root)
    assert "fail It misses 1 of the gate's limits" in page.text
    assert "fail accuracy is 10%" in page.text


def test_findings_link_to_their_sections(root: Path) -> None:
    page, _ = run_report(root)
    first = page.text[page.text.index("What to look at first") : page.text.index("Accuracy on 40 test rows")]
    assert "Accuracy differs by 0.088 between the groups of customer" in first
    assert "Of 6 test rows with a confidence of 0.9 or more, 5 are wrong. Examples" in first
    assert "is taken for delivery in 2 of 10 rows. Results" in first
    assert "Weakest class: a|b & *c*, F1 0.620 on 10 test rows. Classes" in first
    assert "2 rows of the source could not be used. Data" in first


def test_a_run_without_faults_has_no_findings_on_them(results: Results) -> None:
    right = results.predictions.assign(predicted=results.predictions["label"], confidence=0.8725)
    without_faults = Results(**(vars(results) | {"predictions": right, "rejected": {}}))
    assert {finding.section for finding in summary.findings(without_faults)} == {"groups", "classes"}


def test_the_summary_says_that_pseudo_labels_were_left_out(results: Results) -> None:
    assert not summary.unhelpful_pseudo_labels(results)
    metrics = results.metrics | {"pseudo_label": results.metrics["pseudo_label"] | {"round": 0}}
    finding = summary.unhelpful_pseudo_labels(Results(**(vars(results) | {"metrics": metrics})))
    assert finding and finding.sentence == "Pseudo-labels did not help on held-out labels: they were left out."


def test_page_and_card_tell_losses_doubts_and_why_accuracy_is_low(root: Path) -> None:
    loss, doubt = (
        "train.csv: 80 of 160 rows set aside: 80 broken quotes",
        'ingest.labels: "nan" looks like a missing value',
    )
    change_json(root / "data/ingest/metrics.json", rejected_by_file=[loss], remarks=[doubt])
    missing = {"test_classes_without_gold_label": {"<b>refund": 10}, "test_rows_without_gold_label": 10}
    change_json(
        root / "data/evaluate/metrics.json", **missing, accuracy=0.2, largest_class="x", largest_class_share=0.4
    )
    why = "Logistic regression on the untouched encoder is chosen: <i>"
    change_json(root / "data/export/metrics.json", shipped={"model": "probe", "reason": why})
    page, card = run_report(root)
    first = page.text[page.text.index("What to look at first") : page.text.index("Accuracy on 40 test rows")]
    assert "A test class has no gold row" in first and '"<b>refund"' in first
    assert "Accuracy 0.200 is below 0.400" in first
    assert f"2 rows of the source could not be used ({loss}). Data" in first
    assert "Labels or group values were joined or are in doubt: 1 remarks. Data" in first
    assert doubt in page.text
    assert loss in card and "Accuracy 0.200 is below 0.400" in card
    assert "What to try next Accuracy 0.200 is not above 0.823, that of a probe" in page.text
    assert "`gleaner suggest 32`" in page.text
    learned = "It learned from 32 rows with a gold label. None of the 56 rows in the pool is among them."
    assert learned in page.text and why in page.text and "It is one of the baselines itself" in page.text
    assert learned in card and why.replace("<", "&lt;") in card


def test_rows_whose_text_another_row_has_are_no_losses(results: Results) -> None:
    finding = summary.rejected_rows(Results(**(vars(results) | {"rejected": {"labelled in another row": 33}})))
    assert finding and finding.sentence == "33 rows repeat a text of another row, which is used instead."
