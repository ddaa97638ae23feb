"""Commands for whoever operates a project: doctor, ui."""

from pathlib import Path

import typer

app = typer.Typer()


@app.command()
def doctor() -> None:
    """Print what is missing or misconfigured on this machine, and the fix."""
    from cli import doctor as command

    raise typer.Exit(command.main(Path.cwd()))


@app.command()
def ui() -> None:
    """Serve the pages of Prefect and MLflow on loopback until interrupted."""
    from cli import ui as command

    raise typer.Exit(command.main(Path.cwd()))
