"""The ``gleaner`` command: every command of cli/wiring, and the one place where an error becomes an exit code.

gleaner --help
"""

from typing import Annotated

import typer

from cli.exit_codes import print_error
from cli.wiring import answers, nights, operations, serving, training, versions
from pipeline.core.file_permissions import restrict_new_files

app = typer.Typer(
    help="A few labels and a pile of raw text in; a versioned, fairness-checked text classifier out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (training, nights, answers, serving, versions, operations):
    app.add_typer(group.app)


def print_version(is_wanted: bool) -> None:
    """Print the version of the package and end, if ``is_wanted``."""
    if is_wanted:
        from pipeline.core.installed import installed_version

        print(f"gleaner {installed_version()}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of the command itself, without one of its commands."""


def main() -> None:
    """Run the command; an error ends as one line on stderr and exit code 2, a crash as one line and exit code 1."""
    try:
        restrict_new_files()
        app()
    except Exception as error:  # noqa: BLE001  any message may quote a row
        raise SystemExit(print_error(error)) from None


if __name__ == "__main__":
    main()
