"""A page of explained texts: one HTML file that loads nothing. It holds the texts, so it stays where the data is."""

from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent


@dataclass(frozen=True)
class MethodView:
    """One text with its words marked by one method."""

    method: str
    note: str  # a caution about the method; empty for none
    text: Markup


@dataclass(frozen=True)
class ExplainedText:
    """One explained text: its name, the model's answer, the view of each method, and the nearest training rows."""

    name: str
    answer: str
    views: list[MethodView]
    neighbours: list[str] = field(default_factory=list)  # a sentence for each of the nearest training rows


@dataclass(frozen=True)
class Table:
    """A table with its caption; every cell is text."""

    caption: str
    head: list[str]
    rows: list[list[str]]


def render(title: str, about: list[str], texts: list[ExplainedText], tables: list[Table]) -> str:
    """The page as HTML; everything in it is escaped."""
    templates = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    style = Markup((HERE / "style.css").read_text(encoding="utf-8"))
    return templates.get_template("page.html.j2").render(
        title=title, about=about, texts=texts, tables=tables, style=style
    )
