"""An HTML page taken apart for tests."""

from html.parser import HTMLParser


class ParsedPage(HTMLParser):
    """The text that a reader sees, each tag with its attributes, and the tags that are still open.

    Raises AssertionError if an end tag does not close the last open tag.
    """

    VOID_TAGS = ("meta", "img", "br", "rect", "path", "link", "line", "circle")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID_TAGS:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        """The page's text on one line."""
        return " ".join(" ".join(self.words).split())

    def attributes_of(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element with this tag."""
        return [attributes for name, attributes in self.tags if name == tag]
