"""The commands that decide which version is champion, and show it; __main__.py adds them to `gleaner`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def promote(
    version: Annotated[str | None, typer.Option(help="Its number; by default the alias challenger.")] = None,
) -> None:
    """Compare a version with the champion on the same test rows, and promote it if it is better."""
    from cli import promote as command

    raise typer.Exit(command.main(Path.cwd(), version))


@app.command()
def approve(
    version: Annotated[str, typer.Argument(metavar="N", help="The number of a version that waits for approval.")],
    by: Annotated[str, typer.Option(help="Your name, for the promotion log.")],
    reason: Annotated[str, typer.Option(help="Why, for the promotion log.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse it: the champion stays.")] = False,
) -> None:
    """Make a version that waits for approval champion, or reject it."""
    from cli import approve as command

    raise typer.Exit(command.main(Path.cwd(), version, by, reason, reject))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A version that was champion; by default the one before.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the promotion log.")] = "",
) -> None:
    """Make an earlier champion champion again."""
    from cli import rollback as command

    raise typer.Exit(command.main(Path.cwd(), to, reason))


@app.command()
def history(
    at: Annotated[str | None, typer.Option(metavar="DATE", help="A day or a time, ISO 8601, UTC.")] = None,
) -> None:
    """Print which version was champion when, why it changed, and which versions wait for approval."""
    from cli import history as command

    raise typer.Exit(command.main(Path.cwd(), at))
