"""The promotion page: the verdict first, then every number of promotion.json; nothing is loaded from outside."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from pipeline.pages.promotion_page import Shift, render
from pipeline.policies.promotion import PromotionVerdict, decide_promotion
from pipeline.policies.promotion.verdict import ClassScores
from pipeline.policies.reasons import parse_reason
from tests.support.parsed_page import ParsedPage
from tests.support.promotion_case import case, leading, limits

LINEAGE = {
    "champion": {"gleaner.git_commit": "8ad263a", "gleaner.data": "d1"},
    "challenger": {"gleaner.git_commit": "190ccc2", "gleaner.data": "d1", "gleaner.params": "p2"},
}


def make_verdict(wins: int, losses: int, judgement: int = 1, **changes: object) -> PromotionVerdict:
    return decide_promotion(leading(wins, losses), judgement, *limits(**changes))


def show(
    verdict: PromotionVerdict,
    lineage: Mapping[str, Mapping[str, str]] = LINEAGE,
    drift: Sequence[Shift] | None = None,
) -> ParsedPage:
    """The page taken apart."""
    page = ParsedPage(render(verdict, lineage, drift))
    assert page.open == []
    return page


@pytest.mark.parametrize(
    ("wins", "losses", "word", "sentence"),
    [
        (30, 6, "Promote", "It may take the champion's place."),
        (6, 60, "Refuse", "The champion stays."),
        (9, 7, "Insufficient", "The rows cannot tell, which is not a pass: the champion stays."),
    ],
)
def test_the_verdict_comes_first(wins: int, losses: int, word: str, sentence: str) -> None:
    text = show(make_verdict(wins, losses)).text
    assert text.index(f"Version 2 against champion 1: {word}") < text.index(sentence) < text.index("Lead")


def test_the_lead_has_its_interval_and_the_margin() -> None:
    verdict = make_verdict(30, 6, margin=0.01)
    page = show(verdict)
    lead = verdict.lead
    assert f"accuracy (decides) +6.0 {lead.low * 100:+.1f} to {lead.high * 100:+.1f} {lead.champion:.3f}" in page.text
    assert f"({lead.low * 100:+.1f} to {lead.high * 100:+.1f}) lies above the margin of 1." in page.text
    limit = [float(str(line["x1"]).rstrip("%")) for line in page.attributes_of("line") if line["class"] == "limit"]
    whiskers = [float(str(line["x1"]).rstrip("%")) for line in page.attributes_of("line") if line["class"] == "whisker"]
    assert len(limit) == 1, "the margin stands on the line of the metric that decides"
    assert 50 < limit[0] < whiskers[0], "above 0, and below the lower bound"


def test_every_rule_is_listed_with_its_status() -> None:
    verdict = make_verdict(30, 6)
    text = show(verdict).text
    assert all(
        f"{reason.status} {reason.sentence}" in text and reason.key in text
        for reason in map(parse_reason, verdict.reasons)
    )


def test_groups_have_both_gaps_and_both_accuracies() -> None:
    groups = {
        "business": {"both": 100, "challenger": 14, "champion": 4, "neither": 16},
        "private": {"both": 230, "challenger": 20, "champion": 8, "neither": 8},
        "partner": {"both": 3, "challenger": 0, "champion": 0, "neither": 1},
    }
    verdict = decide_promotion(case(groups), 1, *limits())
    text = show(verdict).text
    (gap,) = verdict.gaps
    assert gap.increase is not None
    assert f"customer {gap.champion:.3f} {gap.challenger:.3f}" in text
    assert f"{gap.increase:+.3f}".replace("-", "−") in text
    assert "Too few rows to judge by customer: partner." in text
    assert "partner insufficient +0.0 0.750 0.750 4" in text
    assert "business +7.5 0.776 0.851 134" in text


def test_classes_that_lost_most_come_first_and_those_that_changed_least_are_folded_away() -> None:
    many = tuple(ClassScores(f"class {number:02}", 5, 0.5, 0.5 + (number - 15) / 100) for number in range(30))
    page = show(replace(make_verdict(30, 6), classes=many))
    shown, rest = page.text[page.text.index("F1 of each class") :].split("The other classes")
    order = re.findall(r"class (\d\d) [+−]", shown)
    assert order == sorted(order) and len(order) == 20
    assert order[0] == "00" and order[-1] == "29"
    assert "10, which changed less" in rest and "class 15 +0.0" in rest
    assert "class 00 −15.0 0.500 0.350 5" in shown


def test_the_meter_shows_how_far_the_test_set_is_used_up_and_when_fresh_labels_are_due() -> None:
    text = show(make_verdict(30, 6)).text
    assert "1 of 20 judgements" in text and "Fresh test labels are not due yet." in text
    page = show(make_verdict(30, 6, judgement=20))
    assert "20 of 20 judgements" in page.text and "Fresh test labels are due." in page.text
    assert [box for box in page.attributes_of("p") if box.get("class") == "note-box"]


def test_rows_that_were_left_out_are_counted() -> None:
    verdict = make_verdict(30, 6)
    assert "400 of 402 test rows" in show(verdict).text
    assert "2 were left out, because the champion was trained or tuned on them." in show(verdict).text
    unknown = replace(verdict, rows=replace(verdict.rows, left_out=None, unknown_to_champion=3))
    assert "The champion's training rows could not be had" in show(unknown).text
    assert "3 compared rows have a class that the champion does not know" in show(unknown).text


def test_drift_is_shown_where_it_was_measured() -> None:
    verdict = make_verdict(30, 6)
    assert "It was not measured at this judgement." in show(verdict).text
    assert "nothing new to compare" in show(verdict, drift=[]).text
    shifts = [Shift("texts", "drift", 400, 90, 0.002, 0.71, 0.6), Shift("labels", "insufficient", 400, 9)]
    text = show(verdict, drift=shifts).text
    assert "texts 0.710 0.600 0.002 90 400 drift labels – – – 9 400 insufficient" in text


def test_the_lineage_shows_what_differs() -> None:
    text = show(make_verdict(30, 6)).text
    assert "git commit 8ad263a 190ccc2 differs data d1 d1 same params – p2 differs" in text
    assert (
        "data 0123456789ab… – differs" in show(make_verdict(30, 6), {"champion": {"data": "0123456789abcdef" * 4}}).text
    )
    assert "Nothing was recorded." in show(make_verdict(30, 6), {}).text


def test_the_page_is_escaped_and_loads_nothing() -> None:
    evil = ClassScores("<script>alert(1)</script>", 5, 0.5, 0.6)
    page = show(replace(make_verdict(30, 6), model="<b>model</b>", classes=(evil,)))
    assert "<b>model</b>" in page.text and evil.name in page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b", "link", "img", "iframe", "object", "form"})
    assert all(str(link["href"]).startswith("#") for link in page.attributes_of("a"))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {str(link["href"])[1:] for link in page.attributes_of("a")} <= ids
    policy = [
        meta["content"] for meta in page.attributes_of("meta") if meta.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
