"""How templates are filled, here and for other pages that look the same: everything that they print is escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.pages.grid import show

HERE = Path(__file__).parent


def environment(*folders: Path) -> Environment:
    """Templates of these folders and beside this file, wherever installed; a value that is missing is an error."""
    templates = Environment(
        loader=FileSystemLoader([*folders, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["show"] = show
    return templates


def style() -> str:
    """The style that all pages share."""
    return (HERE / "style.css").read_text(encoding="utf-8")
