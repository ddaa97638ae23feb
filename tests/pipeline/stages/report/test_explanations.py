"""The section on explanations: marked words in the copy with the data, none in the copy to share, class offsets."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.params import Report
from pipeline.core.stage import Paths
from pipeline.stages.report import run
from tests.support.parsed_page import ParsedPage
from tests.support.report_inputs import write_run
from tests.support.reporting import change_json, run_report


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_run(tmp_path)


def explanations_section(root: Path, name: str = "report.html") -> ParsedPage:
    """The section in one copy of the page."""
    html = (root / "data/report" / name).read_text()
    return ParsedPage(html.split('<section id="why">')[1].split("</section>")[0])


def test_the_surest_errors_are_quoted_with_their_words_marked_and_signed(root: Path) -> None:
    run_report(root)
    page = explanations_section(root)
    assert "By LIME: shaded words with a + made the model give its answer" in page.text
    assert (
        "secret + text − 0 taken for delivery , is <script>alert(1)</script> · confidence 0.990 · gold-000" in page.text
    )
    marks = [(mark["class"], mark["style"], mark["title"]) for mark in page.attributes_of("mark")]
    assert marks[:2] == [
        ("for", "--strength: 100%", "70% for the answer"),
        ("against", "--strength: 40%", "28% against the answer"),
    ]
    assert len(marks) == 4, "the third word of either is too faint for a mark"


def test_the_copy_to_share_has_no_marked_word_and_says_where_they_are(root: Path) -> None:
    run_report(root)
    shared = explanations_section(root, "shared.html")
    assert not shared.attributes_of("mark") and "secret" not in shared.text
    assert "data/report/report.html and data/explain/why.html" in shared.text
    run(Report(title="none", examples=0), Paths(root))
    assert not explanations_section(root).attributes_of("mark") and "secret" not in explanations_section(root).text


def test_a_long_text_is_cut_and_words_of_an_unreliable_method_have_a_warning(root: Path) -> None:
    path = root / "data/explain/errors.parquet"
    pd.read_parquet(path).assign(method="integrated_gradients").to_parquet(path)
    test = table.read(root / "data/ingest/test.parquet")
    test.loc[test["id"].eq("gold-000"), "text"] = "secret text 0 " + "and so on " * 100
    table.write(test, root / "data/ingest/test.parquet")
    run_report(root)
    page = explanations_section(root)
    assert "integrated gradients is no better than chance here: do not rely on these words." in page.text
    quoted = page.text.split("secret + text")[1].split("taken for")[0]
    assert quoted.rstrip().endswith("…") and 550 < len(quoted) < 610


def test_class_offsets_are_shown_with_their_part_in_the_score_of_an_error(root: Path) -> None:
    run_report(root)
    page = explanations_section(root, "shared.html")
    assert "the class offsets of mitigation.offsets are in the score" in page.text
    words = [word for word in page.words if word.strip()]
    assert "from class offsets" in words and "-0.100" in words
    change_json(root / "data/export/metrics.json", offsets={"reason": "off", "values": [0.0, 0.0, 0.0, 0.0]})
    run_report(root)
    assert "class offsets" not in explanations_section(root).text
