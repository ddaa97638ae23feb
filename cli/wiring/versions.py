"""Commands about registered versions: explain, verify, promote, approve, roll back, history."""

from typing import Annotated

import typer

from cli.wiring.project_folder import project_folder

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

    raise typer.Exit(command.main(project_folder(), version, as_json))


@app.command("verify-version")
def verify_version(
    version: Annotated[
        str | None, typer.Argument(metavar="N", help="Its number or alias; by default champion.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
) -> None:
    """Rebuild a registered version in a separate folder and compare it bit for bit."""
    from cli import verify_version as command

    raise typer.Exit(command.main(project_folder(), version, stage))


@app.command()
def promote(
    version: Annotated[str | None, typer.Option(help="Its number; by default the alias challenger.")] = None,
) -> None:
    """Compare a version with the champion on the same test rows, and promote it if it is better."""
    from cli import promote as command

    raise typer.Exit(command.main(project_folder(), version))


@app.command()
def approve(
    version: Annotated[str, typer.Argument(metavar="N", help="The number of a version that waits for approval.")],
    by: Annotated[str, typer.Option(help="Your name, for the promotion log.")],
    reason: Annotated[str, typer.Option(help="Why, for the promotion log.")],
    reject: Annotated[bool, typer.Option("--reject", help="Refuse it: the champion stays.")] = False,
) -> None:
    """Make a version that waits for approval champion, or reject it."""
    from cli import approve as command

    raise typer.Exit(command.main(project_folder(), version, by, reason, reject))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A version that was champion; by default the one before.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the promotion log.")] = "",
) -> None:
    """Make an earlier champion champion again."""
    from cli import rollback as command

    raise typer.Exit(command.main(project_folder(), to, reason))


@app.command()
def history(
    at: Annotated[str | None, typer.Option(metavar="DATE", help="A day or a time, ISO 8601, UTC.")] = None,
) -> None:
    """Print which version was champion when, why it changed, and which versions wait for approval."""
    from cli import history as command

    raise typer.Exit(command.main(project_folder(), at))
