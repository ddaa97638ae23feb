"""Commands for whoever operates a project: doctor, ui, backup, restore, clean, prune, forget."""

from pathlib import Path
from typing import Annotated

import typer

from cli.wiring.project_folder import project_folder

app = typer.Typer()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    example: Annotated[
        str | None, typer.Option(help="demo, or the name of a file in examples/; by default your own data in data/raw.")
    ] = None,
    data: Annotated[str | None, typer.Option(help="The folder for ${GLEANER_DATA} in the example.")] = None,
) -> None:
    """Make a project in FOLDER: params.yaml, dvc.yaml, prefect.yaml, inboxes, git and DVC."""
    from cli import init as command

    raise typer.Exit(command.main(folder, example, data))


@app.command()
def upgrade(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")] = False,
) -> None:
    """Bring a project to the installed Gleaner: new params, stages and digests of code; says what runs again."""
    from cli import upgrade as command

    raise typer.Exit(command.main(project_folder(), dry_run))


@app.command()
def doctor() -> None:
    """Print what is missing or misconfigured on this machine, and the fix."""
    from cli import doctor as command

    raise typer.Exit(command.main(Path.cwd()))


@app.command()
def ui() -> None:
    """Serve the pages of Prefect and MLflow on loopback until interrupted."""
    from cli import ui as command

    raise typer.Exit(command.main(project_folder()))


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder outside the project.")],
) -> None:
    """Copy everything that cannot be made again into FOLDER; it works while runs and nights go on."""
    from cli import backup as command

    raise typer.Exit(command.main(project_folder(), folder))


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
def clean() -> None:
    """Remove what a run makes: stage outputs, data/scratch, .prefect; never a file that git tracks."""
    from cli import clean as command

    raise typer.Exit(command.main(project_folder()))


@app.command()
def prune(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show counts and sizes, and remove nothing.")] = False,
    keep_days: Annotated[
        int, typer.Option(min=1, help="Nothing that changed in the last so many days is removed.")
    ] = 30,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, in a terminal, before anything is removed.")] = False,
) -> None:
    """Remove versions, runs, DVC content and scratch files that no champion, alias, log entry or branch needs."""
    from cli import prune as command

    raise typer.Exit(command.main(project_folder(), dry_run, keep_days, yes))


@app.command()
def forget(
    id_: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="The id of a row; may be given several times.")
    ] = None,
    match: Annotated[Path | None, typer.Option(metavar="FILE", help="A file with one text or id a line.")] = None,
    retire: Annotated[
        bool, typer.Option("--retire", help="Let nobody promote the versions that learned from them; not the champion.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
) -> None:
    """Remove a person's rows from arrivals, inboxes, tables, DVC cache and remote; list the versions that learned."""
    from cli import forget as command

    raise typer.Exit(command.main(project_folder(), id_ or [], match, retire, dry_run))
