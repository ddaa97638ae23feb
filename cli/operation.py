"""The commands that look after a project, its stores and its machine; __main__.py adds them to `gleaner`."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder outside the project.")],
) -> None:
    """Copy everything that cannot be made again into FOLDER; it works while runs and nights go on."""
    from cli import backup as command

    raise typer.Exit(command.main(Path.cwd(), folder))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A folder that `gleaner backup` made.")],
    to: Annotated[Path, typer.Option(help="The folder of the project: new or empty.")] = Path("."),
    force: Annotated[
        bool, typer.Option("--force", help="Put what lies there into a folder beside it, and restore.")
    ] = False,
) -> None:
    """Check every file of a backup, and make its project anew, here or elsewhere."""
    from cli import restore as command

    raise typer.Exit(command.main(folder, to, force))


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
