"""The pages in a real browser: they show something, fit a phone, print whole, and ask for nothing."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Browser, browser, needs_browser
from reporting import fill, render

pytestmark = [pytest.mark.browser, needs_browser]
WIDTHS = (1280, 768, 390)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module", params=["report.html", "shared.html"])
def page(request: pytest.FixtureRequest, report: Path) -> Path:
    return report / request.param


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report with awkward labels, long words among them."""
    root = fill(tmp_path_factory.mktemp("report"))
    render(root)
    return root / "data" / "report"


def pixels(png: bytes) -> np.ndarray:
    """A picture's pixels, (height, width, 3), 0 to 255."""
    from matplotlib.image import imread

    return (imread(io.BytesIO(png), format="png")[..., :3] * 255).round().astype(np.uint8)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_a_page_shows_something_and_fits_its_window(chromium: Browser, page: Path, width: int, dark: bool) -> None:
    chromium.open(page, width, dark)
    scrolling = chromium.tell("[document.scrollingElement.scrollWidth, innerWidth]")
    assert scrolling[0] <= scrolling[1] == width
    shot = pixels(chromium.screenshot())
    assert shot.shape[1] == width and shot.shape[0] > 3000
    colours = np.unique(shot.reshape(-1, 3), axis=0)
    assert len(colours) > 50
    corner = shot[5, 5].mean()
    assert corner < 60 if dark else corner > 200
    bands = [band.reshape(-1, 3).std() for band in np.array_split(shot, 8)]
    assert min(bands) > 3, "a stretch of the page is blank"


def test_nothing_is_asked_for_but_the_page_itself(chromium: Browser, page: Path) -> None:
    chromium.open(page)
    assert [address for address in chromium.asked if not address.startswith("data:")] == [page.as_uri()]
