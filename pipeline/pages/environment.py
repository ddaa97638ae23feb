"""The Jinja environment and the style of all pages that look like the report."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

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
    )
    templates.filters["format_value"] = format_value
    return templates


def style() -> str:
    """The style sheet that all pages share."""
    return (HERE / "style.css").read_text(encoding="utf-8")
