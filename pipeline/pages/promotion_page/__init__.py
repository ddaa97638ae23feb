"""The promotion page: one verdict on a challenger against the champion, for the person responsible for it.

It is made from the content of promotion.json and stored beside it with the version. No text of a row is on it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from pipeline.pages.environment import environment, style
from pipeline.pages.promotion_page import view
from pipeline.pages.promotion_page.view import Shift
from pipeline.policies.promotion import PromotionVerdict
from pipeline.policies.reasons import parse_reason

__all__ = ["Shift", "render"]


def render(
    verdict: PromotionVerdict,
    lineage: Mapping[str, Mapping[str, str]],
    drift: Sequence[Shift] | None = None,
) -> str:
    """The page as HTML.

    ``lineage`` says for "champion" and "challenger" what each was made of: name -> value. ``drift`` says how far the
    data has moved since the champion was trained; None if that was not measured.
    """
    template = environment(Path(__file__).parent).get_template("promotion.html.j2")
    return template.render(
        title=f"Version {verdict.challenger.version} against champion {verdict.champion.version}",
        style=Markup(style()),
        verdict=verdict,
        headline=view.headline(verdict),
        status_word=view.STATUS_WORDS[verdict.status],
        facts=view.facts(verdict),
        reasons=list(map(parse_reason, verdict.reasons)),
        scores=view.scores(verdict),
        groups=view.groups(verdict),
        classes=view.classes(verdict),
        reuse=view.test_set_reuse(verdict),
        row_sentences=view.row_sentences(verdict),
        drift=drift,
        lineage=view.lineage_rows(lineage),
    )
