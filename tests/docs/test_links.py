"""Every relative link of the pages leads to a file and a heading that exist, and the index of the docs is complete."""

from collections import Counter
from pathlib import Path

import pytest

from tests.support.documents import DOCS, PAGES, ROOT, anchors, blocks, links, name

INDEX = ROOT / "docs" / "README.md"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_resolves(page: Path) -> None:
    assert not [target for target in links(page) if not resolves(page, target)]


def resolves(page: Path, target: str) -> bool:
    """Whether a link leads to a file or folder of the project and, where it names an anchor, to a heading of it."""
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.exists() or not file.is_relative_to(ROOT):
        return False
    return not anchor or (file.suffix == ".md" and anchor in anchors(file))


def test_the_index_lists_every_page_once() -> None:
    listed = Counter((INDEX.parent / target).resolve() for target in links(INDEX) if "#" not in target)
    assert [name(page) for page in DOCS if page != INDEX and listed[page] != 1] == []


@pytest.mark.parametrize("page", DOCS, ids=name)
def test_a_page_starts_with_its_title_and_a_sentence(page: Path) -> None:
    title, empty, sentence = page.read_text(encoding="utf-8").splitlines()[:3]
    assert title.startswith("# ") and not empty
    assert sentence and sentence[0] not in "#`|-"


@pytest.mark.parametrize("page", [ROOT / "README.md", *DOCS], ids=name)
def test_every_code_block_names_its_language(page: Path) -> None:
    assert [str(block) for block in blocks(page) if not block.language] == []
