"""Commands about registered versions: explain-version, verify-version, promote, rollback, history."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command("explain-version")
def explain_version(
    version: Annotated[
        str | None, typer.Argument(metavar="N", help="Its number or alias; by default champion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print what a registered version was made of, what changed since the champion, and how to rebuild it."""
    from cli import explain_version as command

    raise typer.Exit(command.main(Path.cwd(), version, as_json))


@app.command("verify-version")
def verify_version(
    version: Annotated[
        str | None, typer.Argument(metavar="N", help="Its number or alias; by default champion.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
) -> None:
    """Rebuild a registered version in a separate folder and compare it bit for bit."""
    from cli import verify_version as command

    raise typer.Exit(command.main(Path.cwd(), version, stage))


@app.command()
def promote(
    version: Annotated[str | None, typer.Option(help="Its number; by default the alias challenger.")] = None,
) -> None:
    """Compare a version with the champion on the same test rows, and promote it if it is better."""
    from cli import promote as command

    raise typer.Exit(command.main(Path.cwd(), version))


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
    """Print which version was champion when, and why it changed."""
    from cli import history as command

    raise typer.Exit(command.main(Path.cwd(), at))
