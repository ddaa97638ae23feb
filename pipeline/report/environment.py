"""How the templates of this folder are filled: everything that they print is escaped."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.report.grid import show

HERE = Path(__file__).parent


def environment() -> Environment:
    """Templates beside this file, wherever the package was installed; a value that is missing is an error."""
    templates = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["show"] = show
    return templates
