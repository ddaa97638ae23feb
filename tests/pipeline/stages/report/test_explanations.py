"""The report's section on why: marked words where the data is, none in what is passed around, class offsets."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.core import table
from pipeline.core.params import Report
from pipeline.core.stage import Paths
from pipeline.stages.report import run
from tests.support.reporting import Page, change, fill, render


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return fill(tmp_path)


def why(root: Path, name: str = "report.html") -> Page:
    """The section on why of one copy of the page."""
    html = (root / "data/report" / name).read_text()
    return Page(html.split('<section id="why">')[1].split("</section>")[0])


def test_the_surest_errors_are_quoted_with_their_words_marked_and_signed(root: Path) -> None:
    render(root)
    page = why(root)
    assert "By LIME: shaded words with a + made the model give its answer" in page.text
    assert (
        "secret + text − 0 taken for delivery , is <script>alert(1)</script> · confidence 0.990 · gold-000" in page.text
    )
    marks = [(one["class"], one["style"], one["title"]) for one in page.all("mark")]
    assert marks[:2] == [
        ("for", "--strength: 100%", "70% for the answer"),
        ("against", "--strength: 40%", "28% against the answer"),
    ]
    assert len(marks) == 4, "the third word of either is too faint for a mark"


def test_what_is_passed_around_has_no_marked_word_and_says_where_they_are(root: Path) -> None:
    render(root)
    shared = why(root, "shared.html")
    assert not shared.all("mark") and "secret" not in shared.text
    assert "data/report/report.html and data/explain/why.html" in shared.text
    run(Report(title="none", examples=0), Paths(root))
    assert not why(root).all("mark") and "secret" not in why(root).text


def test_a_long_text_is_cut_and_words_of_a_doubted_method_come_with_a_warning(root: Path) -> None:
    path = root / "data/explain/errors.parquet"
    pd.read_parquet(path).assign(method="integrated_gradients").to_parquet(path)
    test = table.read(root / "data/ingest/test.parquet")
    test.loc[test["id"].eq("gold-000"), "text"] = "secret text 0 " + "and so on " * 100
    table.write(test, root / "data/ingest/test.parquet")
    render(root)
    page = why(root)
    assert "integrated gradients is no better than chance here: do not rely on these words." in page.text
    quoted = page.text.split("secret + text")[1].split("taken for")[0]
    assert quoted.rstrip().endswith("…") and 550 < len(quoted) < 610


def test_class_offsets_are_told_with_their_part_in_the_score_of_an_error(root: Path) -> None:
    render(root)
    page = why(root, "shared.html")
    assert "the class offsets of mitigation.offsets are in the score" in page.text
    head = [word for word in page.words if word.strip()]
    assert "from class offsets" in head and "-0.100" in head
    change(root / "data/export/metrics.json", offsets={"reason": "off", "values": [0.0, 0.0, 0.0, 0.0]})
    render(root)
    assert "class offsets" not in why(root).text
