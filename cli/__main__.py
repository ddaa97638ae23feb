"""The ``gleaner`` command: every command of cli/wiring, and the one place where an error becomes an exit code.

gleaner --help
"""

import sys

import typer

from cli.wiring import answers, nights, operations, training, versions
from pipeline.core.errors import UserError
from pipeline.core.file_permissions import restrict_new_files

app = typer.Typer(
    help="A few labels and a pile of raw text in; a versioned, fairness-checked text classifier out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for group in (training, nights, answers, versions, operations):
    app.add_typer(group.app)


def main() -> None:
    """Run the command; a user's error ends as one line on stderr and exit code 2."""
    try:
        restrict_new_files()
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
