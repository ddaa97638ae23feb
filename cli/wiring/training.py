"""Commands that train and label: run, configure, suggest, ablate."""

from pathlib import Path
from typing import Annotated

import typer

from cli.wiring.project_folder import project_folder
from pipeline.core.printable import printable_lines

app = typer.Typer()


@app.command()
def run() -> None:
    """Run every stage that is not up to date, apply the gate, register the model."""
    from cli import run as command

    raise typer.Exit(command.main(project_folder()))


@app.command()
def configure(
    file: Annotated[Path, typer.Argument(help="An overlay, such as examples/banking77.yaml.")],
    data: Annotated[str | None, typer.Option(help="The folder for ${GLEANER_DATA} in the overlay.")] = None,
) -> None:
    """Merge an overlay into params.yaml; nothing is written unless all of it is valid."""
    from pipeline.commands import configure as command

    params = project_folder() / "params.yaml"
    changed = command.configure(file, params, data)
    lines = [*(f"changed {key}" for key in changed), *command.remarks(changed, params)]
    print(printable_lines("\n".join(lines)) or "params.yaml has all of these values already")


@app.command()
def suggest(
    count: Annotated[int, typer.Argument(metavar="N", help="How many rows.")],
    csv: Annotated[Path, typer.Option(help="CSV file to write, with an empty column for the label.")] = Path(
        "suggestions.csv"
    ),
    label_studio: Annotated[
        Path | None, typer.Option(help="Also write them as tasks for Label Studio, a .json file.")
    ] = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Leave out the model's predictions, which annotators tend to confirm.")
    ] = False,
) -> None:
    """Choose the N unlabelled rows whose labels would help most."""
    from pipeline.core.params import load_params
    from pipeline.core.stage import Paths
    from pipeline.labelling.suggest import SuggestionFiles
    from pipeline.labelling.suggest import suggest as choose

    root = project_folder()
    params, files = load_params(root / "params.yaml"), SuggestionFiles(csv, label_studio, blind)
    print(printable_lines("\n".join(choose(count, files, params, Paths(root)))))


@app.command()
def ablate(
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions, each with other gold rows held out.")] = 3,
    share: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of each class's gold rows that is held out.")
    ] = 0.25,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Measure an addition: lora, ensemble, ... or finetune.lr=1e-4; repeatable."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Measure only this, e.g. synonyms; repeatable.")] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Train although only effects above 15 points could be told from chance.")
    ] = False,
) -> None:
    """Measure what each stage earns on held-out labels, and its minutes; the test split stays closed."""
    from cli import ablate as command

    raise typer.Exit(command.main(project_folder(), seeds, share, with_ or [], only or [], anyway))
