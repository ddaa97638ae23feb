"""The pages in a real browser: they show something, fit a phone, print whole, and ask for nothing."""

import io
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.pages import promotion_page
from pipeline.policies import promotion
from tests.support.browser import Browser, browser, needs_browser
from tests.support.reporting import fill, render

pytestmark = [pytest.mark.browser, needs_browser]
LINEAGE = {"champion": {"gleaner.data": "0" * 64}, "challenger": {"gleaner.data": "1" * 64}}
PAGES = ("report.html", "shared.html", "promotion.html")
PAPER = 718  # CSS pixels between the margins of A4


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with awkward labels, and of a promotion page."""
    root = fill(tmp_path_factory.mktemp("pages"))
    render(root)
    verdict = promotion.from_json(
        json.loads((Path(__file__).parents[2] / "support" / "promotion_example.json").read_text())
    )
    (root / "data/report/promotion.html").write_text(promotion_page.render(verdict, LINEAGE))
    return root / "data/report"


def pixels(png: bytes) -> np.ndarray:
    """A picture's pixels, (height, width, 3), 0 to 255."""
    from matplotlib.image import imread

    return (imread(io.BytesIO(png), format="png")[..., :3] * 255).round().astype(np.uint8)


def overflow(chromium: Browser, width: int) -> int:
    """Pixels by which the page is wider than the width that it was given: a phone's window grows with the page."""
    return int(chromium.tell("document.scrollingElement.scrollWidth")) - width


def colours(shot: np.ndarray) -> int:
    """How many there are, by every third pixel each way."""
    parts = shot[::3, ::3].astype(np.uint32) * np.array([1 << 16, 1 << 8, 1], np.uint32)
    return len(np.unique(parts.sum(axis=-1)))


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_something_and_fits_its_window(
    chromium: Browser, folder: Path, name: str, width: int, dark: bool
) -> None:
    chromium.open(folder / name, width, dark)
    assert overflow(chromium, width) <= 0
    shot = pixels(chromium.screenshot())
    assert shot.shape[1] == width and shot.shape[0] > 2000
    assert colours(shot) > 50
    assert shot[5, 5].mean() < 60 if dark else shot[5, 5].mean() > 200
    bands = [band.std() for band in np.array_split(shot, 6)]
    assert min(bands) > 3, "a stretch of the page is blank"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_whole(chromium: Browser, folder: Path, name: str) -> None:
    chromium.open(folder / name, PAPER, media="print")
    assert overflow(chromium, PAPER) <= 0, "a table is cut at the edge of the paper"
    folded = "[...document.querySelectorAll('details > :not(summary)')].map(one => one.getBoundingClientRect().height)"
    heights = chromium.tell(folded)
    assert all(height > 0 for height in heights), "what is folded away on the screen is missing on paper"
    assert bool(heights) == (name != "promotion.html")
    assert chromium.tell("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = chromium.pdf()
    assert paper.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) >= 2


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_asked_for_but_the_page_itself(chromium: Browser, folder: Path, name: str) -> None:
    chromium.open(folder / name)
    assert [one for one in chromium.asked if not one.startswith("data:")] == [(folder / name).as_uri()]


def test_headings_are_read_in_order_and_every_table_by_its_headers(chromium: Browser, folder: Path) -> None:
    for name in PAGES:
        chromium.open(folder / name)
        levels = chromium.tell("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        bare = "[...document.querySelectorAll('tbody tr')].filter(row => !row.querySelector('th[scope=row]')).length"
        assert chromium.tell(bare) == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_that_is_too_wide_or_blank_or_asks_for_something_is_noticed(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    """Otherwise the tests above would say nothing."""
    bad = tmp_path / "bad.html"
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    bad.write_text(viewport + '<p style="width: 1400px">wide</p><img src="https://gleaner.example/pixel.png">')
    chromium.open(bad, width)
    assert chromium.asked == [bad.as_uri(), "https://gleaner.example/pixel.png"]
    assert overflow(chromium, width) > 0
    assert colours(pixels(chromium.screenshot())) < 50
