"""The page on one judgement: challenger against champion, for the person who has to answer for it.

Made from what promotion.json holds, and stored beside it with the version. No text of a row is on it.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from pipeline.pages.environment import environment, style
from pipeline.pages.promotion_page import view
from pipeline.pages.promotion_page.view import Shift
from pipeline.policies.promotion import Verdict

__all__ = ["Shift", "render"]


def render(
    verdict: Verdict,
    lineage: Mapping[str, Mapping[str, str]],
    drift: Sequence[Shift] | None = None,
) -> str:
    """The page as HTML.

    ``lineage`` has what each of the two was made of, by "champion" and "challenger": name -> value. ``drift`` is how
    far the data has moved since the champion was trained, None where nobody measured it.
    """
    template = environment(Path(__file__).parent).get_template("promotion.html.j2")
    return template.render(
        title=f"Version {verdict.challenger.version} against champion {verdict.champion.version}",
        style=Markup(style()),
        verdict=verdict,
        sentence=view.sentence(verdict),
        word=view.WORDS[verdict.status],
        facts=view.facts(verdict),
        reasons=[reason.split(": ", 1) for reason in verdict.reasons],
        scores=view.scores(verdict),
        groups=view.groups(verdict),
        classes=view.classes(verdict),
        wear=view.wear(verdict),
        rows=view.rows(verdict),
        drift=drift,
        lineage=view.made_of(lineage),
    )
