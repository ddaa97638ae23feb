"""The Markdown pages of the project: their code blocks, links, anchors and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [
    ROOT / "README.md",
    *DOCS,
    ROOT / "benchmarks" / "LOG.md",
    *sorted((ROOT / "data").glob("*/README.md")),
]
FENCE = re.compile(
    r"^(?P<indent> *)(?P<ticks>```+)(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^ *(?P=ticks) *$", re.MULTILINE | re.DOTALL
)
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)")
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
HERE_DOCUMENT = re.compile(r"(<<-?\s*)(['\"]?)(\w+)\2([^\n]*)\n.*?^\s*\3$", re.MULTILINE | re.DOTALL)
SEPARATORS = "|&;()<>"
BEFORE_A_COMMAND = {"do", "then", "else", "!", "time", "exec", "nohup", "{"}


@dataclass(frozen=True)
class Block:
    """A fenced code block; ``line`` is the number of its first line of code."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    """A page's path below the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The fenced code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, match.start("text")) + 1, match["language"], without_indent(match))
        for match in FENCE.finditer(text)
    ]


def without_indent(match: re.Match[str]) -> str:
    """The code of a fence without the indentation of the fence."""
    return re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its code blocks."""
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def inline_code(page: Path) -> list[str]:
    """The inline code of a page, outside of blocks."""
    return INLINE.findall(prose(page))


def links(page: Path) -> list[str]:
    """The targets of all links and images of a page, except those on the web."""
    targets = LINK.findall(INLINE.sub("`code`", prose(page)))
    return [target for target in targets if not re.match(r"[a-z+]+:", target)]


def anchors(page: Path) -> set[str]:
    """The anchors of a page, for after the `#` of a link: its headings in GitHub's spelling, and explicit ids."""
    text = prose(page)
    seen: dict[str, int] = {}
    slugs = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for heading in HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        slugs.add(f"{slug}-{seen[slug]}" if slug in seen else slug)
        seen[slug] = seen.get(slug, 0) + 1
    return slugs


def commands(block: Block) -> Iterator[list[str]]:
    """The words of each simple command of a bash or console block, without output, redirections and comments."""
    for line in logical_lines(typed_text(block)):
        command: list[str] = []
        words = iter(split(line))
        for word in words:
            if set(word) <= {">", "<", "&"} and word.strip("&"):
                next(words, None)  # the file of a redirection
            elif set(word) <= set(SEPARATORS):
                yield from filter(None, [without_prefix(command)])
                command = []
            else:
                command.append(word)
        yield from filter(None, [without_prefix(command)])


def typed_text(block: Block) -> str:
    """The typed text of a block: all of a bash block, the lines after `$ ` (or `> `) of a console block."""
    if block.language != "console":
        return HERE_DOCUMENT.sub(r"\4", block.text)
    return "\n".join(line[2:] for line in block.text.splitlines() if line.startswith(("$ ", "> ")))


def logical_lines(text: str) -> Iterator[str]:
    """Lines of shell, each joined with those that continue it after a backslash or within quotes."""
    pending = ""
    for line in text.splitlines():
        pending += line
        if pending.endswith("\\"):
            pending = pending[:-1]
            continue
        try:
            split(pending)
        except ValueError:
            pending += "\n"
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def split(line: str) -> list[str]:
    """The words of a line of shell; a separator is a word, too. Raises ValueError for an open quote."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=SEPARATORS)
    lexer.whitespace_split, lexer.commenters = True, ""
    words = []
    for word in lexer:
        if word.startswith("#"):
            break
        words.append(word)
    return words


def without_prefix(command: list[str]) -> list[str]:
    """A command without the keywords and assignments in front of it."""
    while command and (command[0] in BEFORE_A_COMMAND or re.match(r"\w+=", command[0])):
        command = command[1:]
    return command
