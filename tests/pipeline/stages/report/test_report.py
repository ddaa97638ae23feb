"""The report stage: what page and card say of a run, and that they are safe and self-contained."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Report, read_yaml, to_yaml
from pipeline.core.stage import Paths, write_json
from pipeline.pages.grid import format_value, to_grid
from pipeline.stages.report import run
from pipeline.stages.report.graph import lay_out, layers, transitive_reduction, upstream_stages
from pipeline.stages.report.page import SECTIONS
from tests.support.reporting import CHECKS, LABELS, REPORT, ROOT, Page, change, fill, render, rows


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path)


def test_headline_numbers_stand_on_the_page_and_on_the_card(root: Path) -> None:
    page, card = render(root)
    for text in (page.text, card):
        for number in ("0.873", "0.841", "0.902", "0.863", "0.711", "0.823", "0.042", "0.088"):
            assert number in text
    assert "87.2% of cases (95% interval 84.1% to 90.2%)" in page.text
    assert "4.9 points above logistic regression" in page.text


def test_gain_that_may_be_chance_is_called_so(root: Path) -> None:
    change(
        root / "data/evaluate/metrics.json", gain_over_probe=-0.01, gain_over_probe_low=-0.04, gain_over_probe_high=0.02
    )
    page, card = render(root)
    for text in (page.text, card):
        assert "1.0 points below" in text
        assert "within chance" in text


def test_page_loads_nothing_from_outside(root: Path) -> None:
    page, _ = render(root)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "xlink:href", "poster", "srcset"):
            if name in attributes:
                assert re.match(r"#|data:image/png;base64,", str(attributes[name])), attributes
    style = (ROOT / "pipeline/pages/style.css").read_text()
    assert "url(" not in style
    assert "@import" not in style
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "link", "iframe", "object", "form"})


def test_labels_and_titles_are_escaped(root: Path) -> None:
    page, card = render(root)
    assert LABELS[0] in page.text
    assert "Report of <b>messages</b>" in page.text
    assert not page.all("script")
    assert not page.all("b")
    assert "<script>" not in card
    assert "&lt;script&gt;" in card


def test_what_is_passed_around_has_no_text_and_no_password(root: Path) -> None:
    run(REPORT, Paths(root))
    pages = {path.name: path.read_text() for path in (root / "data/report").iterdir()}
    assert set(pages) == {"report.html", "shared.html", "MODEL_CARD.md"}
    assert "secret" in pages["report.html"]
    assert "secret" not in pages["shared.html"] + pages["MODEL_CARD.md"]
    assert not [name for name, page in pages.items() if "hunter2" in page]


def test_examples_are_quoted_where_the_data_is_alone(root: Path) -> None:
    page, _ = render(root)
    assert "secret text 0 taken for delivery , is <script>alert(1)</script> · confidence 0.990 · gold-000" in page.text
    shared = Page((root / "data/report/shared.html").read_text())
    assert shared.open == []
    assert "gold-000 <script>alert(1)</script> delivery 0.990" in shared.text


def test_equal_inputs_give_equal_bytes(root: Path) -> None:
    first = render(root)[1], (root / "data/report/report.html").read_bytes()
    assert first == (render(root)[1], (root / "data/report/report.html").read_bytes())


def test_pictures_have_a_text_and_tables_have_headers(root: Path) -> None:
    page, _ = render(root)
    assert all(image["alt"] for image in page.all("img"))
    drawn = [drawing for drawing in page.all("svg") if "aria-hidden" not in drawing]
    assert [drawing["aria-labelledby"] for drawing in drawn] == [
        f"{name}-title {name}-text" for name in ("reliability", "rounds", "graph")
    ]
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(header["scope"] in ("row", "col") for header in page.all("th"))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {str(link["href"])[1:] for link in page.all("a")} <= ids


def test_examples_are_surest_errors_and_least_sure_rows(root: Path) -> None:
    page, _ = render(root)
    wrong = page.text.split("Sure, and wrong")[1].split("Least sure")[0]
    assert re.findall(r"gold-\d+", wrong) == ["gold-000", "gold-001", "gold-003", "gold-004", "gold-005"]
    unsure = page.text.split("Least sure")[1]
    assert re.findall(r"gold-\d+", unsure)[:5] == ["gold-039", "gold-038", "gold-037", "gold-036", "gold-035"]


def test_metrics_count_sections_and_examples(root: Path) -> None:
    assert run(REPORT, Paths(root)) == {"sections": len(SECTIONS), "examples": 10}
    assert run(Report(title="none", examples=0), Paths(root)) == {"sections": len(SECTIONS), "examples": 0}


def test_insufficient_groups_are_called_out(root: Path) -> None:
    page, card = render(root)
    assert "Too few rows to judge by customer: partner." in page.text
    assert "too few rows to judge partner" in card


def test_every_metric_of_every_stage_is_listed_dotted(root: Path) -> None:
    page, _ = render(root)
    assert page.text.count("seen.rows 1,234") == 5
    assert "baseline.probe.macro_f1 0.814" in page.text


def empty_groups(data: Path) -> None:
    table.write_csv(pd.read_csv(data / "fairness/groups.csv").head(0), data / "fairness/groups.csv")
    write_json(CHECKS | {"attributes": 0, "status": "no group attributes"}, data / "fairness/metrics.json")


def no_pseudo_labels(data: Path) -> None:
    table.write(rows("pseudo", 50).head(0), data / "pseudo_label/train.parquet")
    rounds = pd.read_csv(data / "pseudo_label/rounds.csv")
    table.write_csv(rounds.head(1), data / "pseudo_label/rounds.csv")
    change(data / "pseudo_label/metrics.json", round=0)


def no_baselines(data: Path) -> None:
    none = {"accuracy": None, "macro_f1": None, "reason": "4 gold rows of 1 classes: nothing to train on"}
    nothing: dict[str, Any] = {f"gain_over_probe{end}": None for end in ("", "_low", "_high")}
    change(data / "evaluate/metrics.json", baseline={"tfidf": none, "probe": none}, **nothing)


def unmeasured_gap(data: Path) -> None:
    gone = {
        "customer.status": "insufficient",
        "customer.accuracy_gap": None,
        "customer.insufficient_groups": ["a", "b"],
    }
    write_json(CHECKS | {"attributes": 1, "status": "insufficient"} | gone, data / "fairness/metrics.json")


def no_errors(data: Path) -> None:
    path = data / "evaluate/predictions.parquet"
    predictions = pd.read_parquet(path)
    predictions.assign(predicted=predictions["label"]).to_parquet(path)


def nothing_rejected(data: Path) -> None:
    path = data / "ingest/rejected.parquet"
    pd.read_parquet(path).head(0).to_parquet(path)


@pytest.mark.parametrize(
    ("alter", "said"),
    [
        (empty_groups, "No group attribute is set"),
        (no_pseudo_labels, "No round of pseudo-labelling took place."),
        (no_baselines, "4 gold rows of 1 classes: nothing to train on"),
        (unmeasured_gap, "too few rows to judge"),
        (no_errors, "No test row was labelled wrongly."),
        (nothing_rejected, "Every row of the source could be used."),
    ],
)
def test_what_a_run_lacks_is_said(root: Path, alter: Callable[[Path], None], said: str) -> None:
    alter(root / "data")
    page, _ = render(root)
    assert said in page.text


def test_card_has_front_matter_of_a_model_card(root: Path) -> None:
    _, card = render(root)
    _, head, body = card.split("---\n", 2)
    (root / "head.yaml").write_text(head)
    front = read_yaml(root / "head.yaml")
    assert front["pipeline_tag"] == "text-classification"
    scores = front["model-index"][0]["results"][0]["metrics"]
    assert [score["value"] for score in scores] == [0.8725, 0.8634]
    assert "gleaner predict" in body
    assert "a\\|b &amp; \\*c\\*" in body


@pytest.mark.parametrize("scratch", [False, True])
def test_the_encoder_of_a_model_is_said_whether_it_is_a_published_one_or_new(root: Path, scratch: bool) -> None:
    params = read_yaml(root / "params.yaml")
    params["encoder"] |= {"source": "hub", "name": "somebody/great-encoder"}
    params["pretrain"] |= {"objective": "mlm", "from_scratch": scratch}
    (root / "params.yaml").write_text(to_yaml(params))
    page, card = render(root)
    assert ("Its encoder is great-encoder." in page.text) != scratch
    assert ("Its encoder is a new one, trained on these texts alone." in page.text) == scratch
    assert ("base_model: somebody/great-encoder" in card) != scratch
    assert ("- Encoder: somebody/great-encoder (hub" in card) != scratch
    assert ("- Encoder: a new one, trained on these texts alone (mlm); the untouched one" in card) == scratch


def test_missing_input_is_named(root: Path) -> None:
    (root / "data/fairness/groups.csv").unlink()
    with pytest.raises(UserError, match=r"groups\.csv.*run `dvc repro`"):
        run(REPORT, Paths(root))


def test_graph_leaves_out_what_a_longer_path_implies() -> None:
    stages = {
        "a": {},
        "b": {"deps": ["data/a/x.parquet", "pipeline/b.py"]},
        "c": {"deps": ["data/a/x.parquet", "data/b/y.parquet", "data/demo/raw.csv"]},
    }
    needs = upstream_stages({"stages": stages})
    assert layers(needs) == {"a": 0, "b": 1, "c": 2}
    assert transitive_reduction(needs) == [("a", "b"), ("b", "c")]
    assert [box.stage for box in lay_out({"stages": stages}).boxes] == ["a", "b", "c"]


def test_values_are_shown_for_readers() -> None:
    assert [
        format_value(value) for value in (None, float("nan"), True, 12345, 0.12345, 0.00001, [], ["a", 2], "x")
    ] == [*("–", "–", "yes", "12,345", "0.123", "1.0e-05", "–", "a, 2", "x")]
    counts = to_grid(pd.DataFrame({"name": ["a", "b"], "rows_seen": [1200.0, None], "share": [0.5, 1.0]}), "counts")
    assert counts.head == ["name", "rows seen", "share"]
    assert counts.rows == [["a", "1,200", "0.500"], ["b", "–", "1.000"]]
