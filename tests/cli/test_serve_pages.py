"""The pages of the service in a real browser: a text is labelled, explained and corrected; nothing comes from afar."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import Browser, browser, needs_browser
from tests.support.promoting import LABELS, make_project
from tests.support.service_process import Served, serving
from tests.support.serving import WORDS
from tests.support.word_bundle import build

pytestmark = [pytest.mark.browser, pytest.mark.slow, needs_browser]
TEXT = "please, my money <b>now</b> 👍 money"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """A service over a bundle, with keys, and its project."""
    root = make_project(tmp_path_factory.mktemp("pages") / "project", rows=4)
    bundle = build(root / "bundle", WORDS, LABELS)
    with serving(root, "--bundle", str(bundle), scopes=("predict", "explain", "feedback")) as served:
        yield served, root


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser."""
    with browser(tmp_path_factory.mktemp("chromium")) as started:
        yield started


def wait(page: Browser, expression: str) -> None:
    """Wait until a JavaScript expression is true."""
    end = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < end, page.evaluate("document.body.innerText")
        time.sleep(0.05)


def submit(page: Browser, form: str) -> None:
    """Submit a form as a click on its button does."""
    page.evaluate(f"document.querySelector('#{form} button').click()")


def test_a_text_is_labelled_explained_and_corrected(page: Browser, served: tuple[Served, Path]) -> None:
    service, root = served
    address = str(service.client.base_url)
    key = service.client.headers["Authorization"].split()[1]
    page.open(address)
    page.evaluate(f"key.value = {json.dumps(key)}; at('text').value = {json.dumps(TEXT)}")
    submit(page, "ask")
    wait(page, "document.querySelectorAll('#words mark').length > 0")
    assert page.evaluate("at('label').textContent") == "refund"
    marks = page.evaluate("[...document.querySelectorAll('#words mark.for')].map((mark) => mark.textContent)")
    assert marks == ["money+", "money+"]
    assert page.evaluate("at('words').textContent.replaceAll(/[+−]/g, '')") == TEXT
    assert page.evaluate("document.querySelectorAll('#words b').length") == 0
    page.evaluate("at('right').value = 'delivery'")
    submit(page, "correct")
    wait(page, "at('sent').textContent.startsWith('Stored')")
    (stored,) = (root / "inbox" / "feedback").glob("*.jsonl")
    assert json.loads(stored.read_text()) == {"text": TEXT, "label": "delivery", "version": None}
    assert all(request.startswith(address) for request in page.requests), page.requests
    for width, dark in ((1280, False), (390, True)):
        page.open(address, width=width, dark=dark)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_wrong_key_is_told_in_the_page(page: Browser, served: tuple[Served, Path]) -> None:
    page.open(str(served[0].client.base_url))
    page.evaluate("key.value = 'wrong'; at('text').value = 'my parcel'")
    submit(page, "ask")
    wait(page, "!at('fault').hidden")
    assert "valid key" in page.evaluate("at('fault').textContent")
    assert page.evaluate("at('answer').hidden")


def test_the_api_is_described_without_a_script_from_elsewhere(page: Browser, served: tuple[Served, Path]) -> None:
    page.open(f"{served[0].client.base_url}/docs")
    text = page.evaluate("document.body.innerText")
    assert "POST /v1/predict" in text and '"texts": [' in text and "Retry-After" in text
    assert page.requests and all(request.startswith("http://127.0.0.1:") for request in page.requests)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
