"""The Jinja environment and the style of all pages that look like the report."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.core.printable import printable_lines
from pipeline.pages.grid import format_value

HERE = Path(__file__).parent


def environment(*folders: Path) -> Environment:
    """Templates of these folders and of this one. All values are escaped, and a missing value is an error."""
    templates = Environment(
        loader=FileSystemLoader([*folders, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=make_printable,
    )
    templates.filters["format_value"] = format_value
    return templates


def make_printable(value: Any) -> Any:
    """A value of a template without control characters; markup is ours, and stays as it is."""
    return printable_lines(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def style() -> str:
    """The style sheet that all pages share."""
    return (HERE / "style.css").read_text(encoding="utf-8")
