"""Commands of scheduled retraining: retrain, nights, schedule, simulate."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.wiring.project_folder import project_folder

app = typer.Typer()


@app.command()
def retrain(
    force: Annotated[bool, typer.Option("--force", help="Train even if there is no reason to.")] = False,
    now: Annotated[
        datetime | None, typer.Option(hidden=True, help="The time that the night takes for now, UTC; for simulations.")
    ] = None,
) -> None:
    """Run one night now: take new data in, train if there is a reason to, promote what is better."""
    from cli import retrain as command

    raise typer.Exit(command.main(project_folder(), force, now.replace(tzinfo=UTC) if now else None))


@app.command()
def nights() -> None:
    """Print what each night decided, and why."""
    from cli import nights as command

    raise typer.Exit(command.main(project_folder()))


@app.command()
def schedule() -> None:
    """Deploy the schedule of prefect.yaml on loopback and run its nights until interrupted."""
    from cli import schedule as command

    raise typer.Exit(command.main(project_folder()))


@app.command()
def simulate(
    days: Annotated[int, typer.Option(min=14, max=60, help="How many nights.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what arrives.")] = 0,
) -> None:
    """Simulate a month of nights on the demo, with drift, bad labels and a crash; prints the history."""
    from cli import simulate as command

    raise typer.Exit(command.main(project_folder(), days, seed))
