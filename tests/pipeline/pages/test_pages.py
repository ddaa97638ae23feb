"""The pages in a real browser: they show something, fit a phone, print whole, and request nothing."""

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
from tests.support.report_inputs import write_run
from tests.support.reporting import run_report

pytestmark = [pytest.mark.browser, needs_browser]
LINEAGE = {"champion": {"gleaner.data": "0" * 64}, "challenger": {"gleaner.data": "1" * 64}}
PAGES = ("report.html", "shared.html", "promotion.html")
PAPER = 718  # CSS pixels between the margins of A4


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with awkward labels, and of a promotion page."""
    root = write_run(tmp_path_factory.mktemp("pages"))
    run_report(root)
    verdict = promotion.from_json(
        json.loads((Path(__file__).parents[2] / "support" / "promotion_example.json").read_text())
    )
    (root / "data/report/promotion.html").write_text(promotion_page.render(verdict, LINEAGE))
    return root / "data/report"


def pixels(png: bytes) -> np.ndarray:
    """The pixels of a PNG, (height, width, 3), uint8."""
    from matplotlib.image import imread

    return (imread(io.BytesIO(png), format="png")[..., :3] * 255).round().astype(np.uint8)


def overflow(chromium: Browser, width: int) -> int:
    """CSS pixels by which the page is wider than its window should be. A phone's window grows with the page."""
    return int(chromium.evaluate("document.scrollingElement.scrollWidth")) - width


def count_colours(shot: np.ndarray) -> int:
    """The number of different colours in every third row and column."""
    channels = shot[::3, ::3].astype(np.uint32) * np.array([1 << 16, 1 << 8, 1], np.uint32)
    return len(np.unique(channels.sum(axis=-1)))


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
    assert count_colours(shot) > 50
    assert shot[5, 5].mean() < 60 if dark else shot[5, 5].mean() > 200
    bands = [band.std() for band in np.array_split(shot, 6)]
    assert min(bands) > 3, "a stretch of the page is blank"


def test_a_phone_shows_every_column_of_the_results(chromium: Browser, folder: Path) -> None:
    chromium.open(folder / "report.html", 375)
    region = """document.querySelector('[aria-label="Accuracy against the baselines"]')"""
    assert chromium.evaluate(f"{region}.scrollWidth <= {region}.clientWidth")
    assert "macro-F1" in chromium.evaluate(f"{region}.innerText")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints_whole(chromium: Browser, folder: Path, name: str) -> None:
    chromium.open(folder / name, PAPER, media="print")
    assert overflow(chromium, PAPER) <= 0, "a table is cut at the edge of the paper"
    folded = "[...document.querySelectorAll('details > :not(summary)')].map(one => one.getBoundingClientRect().height)"
    heights = chromium.evaluate(folded)
    assert all(height > 0 for height in heights), "what is folded away on the screen is missing on paper"
    assert bool(heights) == (name != "promotion.html")
    assert chromium.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    paper = chromium.pdf()
    assert paper.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) >= 2


@pytest.mark.parametrize("name", PAGES)
def test_only_the_page_itself_is_requested(chromium: Browser, folder: Path, name: str) -> None:
    chromium.open(folder / name)
    assert [address for address in chromium.requests if not address.startswith("data:")] == [(folder / name).as_uri()]


def test_headings_are_in_order_and_every_table_row_has_a_header(chromium: Browser, folder: Path) -> None:
    for name in PAGES:
        chromium.open(folder / name)
        levels = chromium.evaluate("[...document.querySelectorAll('h1, h2, h3')].map(one => Number(one.tagName[1]))")
        assert levels[0] == 1 and levels.count(1) == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))
        bare = "[...document.querySelectorAll('tbody tr')].filter(row => !row.querySelector('th[scope=row]')).length"
        assert chromium.evaluate(bare) == 0


@pytest.mark.parametrize("width", [1280, 390])
def test_these_tests_notice_a_page_that_is_too_wide_or_blank_or_requests_something(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    """Without this, the tests above might pass on any page."""
    bad = tmp_path / "bad.html"
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    bad.write_text(viewport + '<p style="width: 1400px">wide</p><img src="https://gleaner.example/pixel.png">')
    chromium.open(bad, width)
    assert chromium.requests == [bad.as_uri(), "https://gleaner.example/pixel.png"]
    assert overflow(chromium, width) > 0
    assert count_colours(pixels(chromium.screenshot())) < 50
