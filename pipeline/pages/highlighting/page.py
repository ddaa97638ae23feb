"""A page of explained texts: one HTML file that loads nothing. It holds the texts, so it stays where the data is."""

from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent


@dataclass(frozen=True)
class View:
    """One text as one method sees it."""

    method: str
    note: str  # what to keep in mind about it; empty for nothing
    text: Markup


@dataclass(frozen=True)
class Shown:
    """One explained text: what it is called, what was answered, how each method sees it, and what lies near."""

    name: str
    answer: str
    views: list[View]
    near: list[str] = field(default_factory=list)  # a sentence each


@dataclass(frozen=True)
class Table:
    """A table with its caption; every cell is text."""

    caption: str
    head: list[str]
    rows: list[list[str]]


def render(title: str, about: list[str], texts: list[Shown], tables: list[Table]) -> str:
    """The page as HTML; everything in it is escaped."""
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))
    return templates.get_template("page.html.j2").render(
        title=title, about=about, texts=texts, tables=tables, style=style
    )
