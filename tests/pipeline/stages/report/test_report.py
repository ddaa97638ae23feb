"""The stage `report`: the content of page and card, and that they are safe and self-contained."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Report
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.stages.report import run
from pipeline.stages.report.page import SECTIONS
from tests.support.parsed_page import ParsedPage
from tests.support.report_inputs import CHECKS, LABELS, ROOT, make_rows, write_run
from tests.support.reporting import REPORT, change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def test_headline_numbers_are_on_the_page_and_on_the_card(root: Path) -> None:
    page, card = run_report(root)
    for text in (page.text, card):
        for number in ("0.873", "0.841", "0.902", "0.863", "0.711", "0.823", "0.042", "0.088"):
            assert number in text
    headline = read_json(root / "data/report/headline.json")
    assert len(headline) == 10 and headline["accuracy"] == 0.8725 and headline["group_gap"] == 0.0876
    assert "87.2% of cases (95% interval 84.1% to 90.2%)" in page.text
    assert "4.9 points above logistic regression" in page.text


def test_a_gain_that_may_be_chance_has_a_caveat(root: Path) -> None:
    change_json(
        root / "data/evaluate/metrics.json", gain_over_probe=-0.01, gain_over_probe_low=-0.04, gain_over_probe_high=0.02
    )
    page, card = run_report(root)
    for text in (page.text, card):
        assert "1.0 points below" in text
        assert "within chance" in text


def test_examples_say_which_rows_got_no_label(root: Path) -> None:
    page, _ = run_report(root)
    assert "no label, unlike every class; most probable: rightly refund" in page.text
    assert page.text.count("no label, unlike every class") == 1
    shared = (root / "data/report/shared.html").read_text()
    assert "no label, as it is" in shared and "unlike every class</td>" in shared


def test_candidates_for_new_classes_have_words_and_texts_beside_the_data_and_ids_elsewhere(root: Path) -> None:
    page, _ = run_report(root)
    shared = (root / "data/report/shared.html").read_text()
    assert "7 lie in 2 clusters" in page.text and "7 lie in 2 clusters" in shared
    assert "loan" in page.text and "secret visa of mine 3" in page.text
    assert "unlabelled-002" in shared and "loan" not in shared and "visa" not in shared


def test_page_loads_nothing_from_outside(root: Path) -> None:
    page, _ = run_report(root)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "xlink:href", "poster", "srcset"):
            if name in attributes:
                assert re.match(r"#|data:image/png;base64,", str(attributes[name])), attributes
    style = (ROOT / "pipeline/pages/style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "form"})


def test_labels_and_titles_are_escaped(root: Path) -> None:
    page, card = run_report(root)
    assert LABELS[0] in page.text
    assert "Report of <b>messages</b>" in page.text
    assert not page.attributes_of("script")
    assert not page.attributes_of("b")
    assert "<script>" not in card
    assert "&lt;script>" in card


def test_files_to_share_have_no_text_and_no_password(root: Path) -> None:
    run(REPORT, Paths(root))
    pages = {path.name: path.read_text() for path in (root / "data/report").iterdir()}
    assert set(pages) == {"report.html", "shared.html", "MODEL_CARD.md", "headline.json"}
    assert "secret" in pages["report.html"]
    assert "secret" not in pages["shared.html"] + pages["MODEL_CARD.md"]
    assert not [name for name, page in pages.items() if "hunter2" in page]


def test_examples_are_quoted_only_in_the_copy_that_stays_with_the_data(root: Path) -> None:
    page, _ = run_report(root)
    assert "secret text 0 taken for delivery , is <script>alert(1)</script> · confidence 0.990 · gold-000" in page.text
    shared = ParsedPage((root / "data/report/shared.html").read_text())
    assert shared.open == []
    assert "gold-000 <script>alert(1)</script> delivery 0.990" in shared.text


def test_equal_inputs_give_equal_bytes(root: Path) -> None:
    first = run_report(root)[1], (root / "data/report/report.html").read_bytes()
    assert first == (run_report(root)[1], (root / "data/report/report.html").read_bytes())


def test_pictures_have_a_text_and_tables_have_headers(root: Path) -> None:
    page, _ = run_report(root)
    assert all(image["alt"] for image in page.attributes_of("img"))
    drawn = [drawing for drawing in page.attributes_of("svg") if "aria-hidden" not in drawing]
    assert [drawing["aria-labelledby"] for drawing in drawn] == [
        f"{name}-title {name}-text" for name in ("reliability", "rounds", "graph")
    ]
    assert len(page.attributes_of("caption")) == len(page.attributes_of("table"))
    assert all(header["scope"] in ("row", "col") for header in page.attributes_of("th"))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {str(link["href"])[1:] for link in page.attributes_of("a")} <= ids


def test_examples_are_surest_errors_and_least_sure_rows(root: Path) -> None:
    page, _ = run_report(root)
    wrong = page.text.split("Sure, and wrong")[1].split("Least sure")[0]
    assert re.findall(r"gold-\d+", wrong) == ["gold-000", "gold-001", "gold-003", "gold-004", "gold-005"]
    unsure = page.text.split("Least sure")[1]
    assert re.findall(r"gold-\d+", unsure)[:5] == ["gold-039", "gold-038", "gold-037", "gold-036", "gold-035"]


def test_metrics_count_sections_and_examples(root: Path) -> None:
    assert run(REPORT, Paths(root)) == {"sections": len(SECTIONS), "examples": 10, "next_steps": []}
    assert run(Report(title="none", examples=0), Paths(root)) == {
        "sections": len(SECTIONS),
        "examples": 0,
        "next_steps": [],
    }


def test_insufficient_groups_are_named(root: Path) -> None:
    page, card = run_report(root)
    assert "Too few rows to judge by customer: partner." in page.text
    assert "too few rows to judge partner" in card


def test_every_metric_of_every_stage_is_listed_dotted(root: Path) -> None:
    page, _ = run_report(root)
    assert page.text.count("seen.rows 1,234") == 5
    assert "baseline.probe.macro_f1 0.814" in page.text


def empty_groups(data: Path) -> None:
    table.write_csv(pd.read_csv(data / "fairness/groups.csv").head(0), data / "fairness/groups.csv")
    write_json(CHECKS | {"attributes": 0, "status": "no group attributes"}, data / "fairness/metrics.json")


def no_pseudo_labels(data: Path) -> None:
    table.write(make_rows("pseudo", 50).head(0), data / "pseudo_label/train.parquet")
    rounds = pd.read_csv(data / "pseudo_label/rounds.csv")
    table.write_csv(rounds.head(1), data / "pseudo_label/rounds.csv")
    change_json(data / "pseudo_label/metrics.json", round=0)


def no_baselines(data: Path) -> None:
    unmeasured = {"accuracy": None, "macro_f1": None, "reason": "4 gold rows of 1 classes: nothing to train on"}
    gain: dict[str, Any] = {f"gain_over_probe{end}": None for end in ("", "_low", "_high")}
    change_json(
        data / "evaluate/metrics.json", baseline=dict.fromkeys(("tfidf", "probe", "largest_class"), unmeasured), **gain
    )


def unmeasured_gap(data: Path) -> None:
    values = {
        "customer.status": "insufficient",
        "customer.accuracy_gap": None,
        "customer.insufficient_groups": ["a", "b"],
    }
    write_json(CHECKS | {"attributes": 1, "status": "insufficient"} | values, data / "fairness/metrics.json")


def no_errors(data: Path) -> None:
    path = data / "evaluate/predictions.parquet"
    predictions = pd.read_parquet(path)
    predictions.assign(predicted=predictions["label"]).to_parquet(path)


def nothing_rejected(data: Path) -> None:
    path = data / "ingest/rejected.parquet"
    pd.read_parquet(path).head(0).to_parquet(path)


@pytest.mark.parametrize(
    ("alter", "sentence"),
    [
        (empty_groups, "No group attribute is set"),
        (no_pseudo_labels, "No round of pseudo-labelling took place."),
        (no_baselines, "4 gold rows of 1 classes: nothing to train on"),
        (unmeasured_gap, "too few rows to judge"),
        (no_errors, "No test row was labelled wrongly."),
        (nothing_rejected, "Every row of the source could be used."),
    ],
)
def test_the_page_says_what_a_run_lacks(root: Path, alter: Callable[[Path], None], sentence: str) -> None:
    alter(root / "data")
    page, _ = run_report(root)
    assert sentence in page.text


def test_a_missing_input_is_an_error_that_names_it(root: Path) -> None:
    (root / "data/fairness/groups.csv").unlink()
    with pytest.raises(UserError, match=r"groups\.csv.*run `dvc repro`"):
        run(REPORT, Paths(root))
