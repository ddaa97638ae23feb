"""The ``gleaner`` command: one function a command, which parses and hands over to the file of that name.

Prefect and MLflow are imported by the commands that need them, so that --help is fast.

gleaner --help
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.core.errors import UserError

app = typer.Typer(
    help="A few labels and a pile of raw text in; a versioned, fairness-checked text classifier out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
TextSource = Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, JSON or plain lines; - reads stdin.")]
TextColumn = Annotated[str | None, typer.Option(help="Column or key of the text; by default one of a known name.")]
INPUT_FORMAT = "csv, tsv, jsonl or lines; by default by the ending or the content."


@app.command()
def run() -> None:
    """Run every stage that is not up to date, apply the gate, register the model."""
    from cli import run as command

    raise typer.Exit(command.main(Path.cwd()))


@app.command()
def retrain(
    force: Annotated[bool, typer.Option("--force", help="Train even if there is no reason to.")] = False,
    now: Annotated[
        datetime | None, typer.Option(hidden=True, help="The time that the night takes for now, UTC; for simulations.")
    ] = None,
) -> None:
    """Run one night now: take new data in, train if there is a reason to, promote what is better."""
    from cli import retrain as command

    raise typer.Exit(command.main(Path.cwd(), force, now.replace(tzinfo=UTC) if now else None))


@app.command()
def nights() -> None:
    """Print what each night decided, and why."""
    from cli import nights as command

    raise typer.Exit(command.main(Path.cwd()))


@app.command()
def schedule() -> None:
    """Deploy the schedule of prefect.yaml on loopback and run its nights until interrupted."""
    from cli import schedule as command

    raise typer.Exit(command.main(Path.cwd()))


@app.command()
def simulate(
    days: Annotated[int, typer.Option(min=14, max=60, help="How many nights.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Seed of what arrives.")] = 0,
) -> None:
    """Simulate a month of nights on the demo, with drift, bad labels and a crash; prints the history."""
    from cli import simulate as command

    raise typer.Exit(command.main(Path.cwd(), days, seed))


@app.command()
def configure(
    file: Annotated[Path, typer.Argument(help="An overlay, such as examples/banking77.yaml.")],
    data: Annotated[str | None, typer.Option(help="The folder for ${GLEANER_DATA} in the overlay.")] = None,
) -> None:
    """Merge an overlay into params.yaml; nothing is written unless all of it is valid."""
    from pipeline.commands.configure import configure as merge

    changed = merge(file, Path("params.yaml"), data)
    print("\n".join(f"changed {key}" for key in changed) or "params.yaml has all of these values already")


@app.command()
def predict(
    source: TextSource,
    bundle: Annotated[Path, typer.Option(help="The folder of the classifier.")] = Path("data/export/bundle"),
    text_column: TextColumn = None,
    format_: Annotated[str | None, typer.Option("--format", help=INPUT_FORMAT)] = None,
) -> None:
    """Label texts: writes the rows of the input with label and confidence added."""
    from pipeline.commands.predict import predict_file
    from pipeline.sources.text_format import Choice

    predict_file(source, bundle, Choice(format_, text_column), sys.stdout)


@app.command()
def explain(
    source: TextSource,
    method: Annotated[str, typer.Option(help="integrated_gradients, rollout, lime or all.")] = "integrated_gradients",
    bundle: Annotated[
        Path, typer.Option(help="The folder of the classifier; data/finetune/model has no class offsets yet.")
    ] = Path("data/export/bundle"),
    text_column: TextColumn = None,
    input_format: Annotated[str | None, typer.Option(help=INPUT_FORMAT)] = None,
    format_: Annotated[str, typer.Option("--format", help="Of the output: text, json (JSON Lines) or html.")] = "text",
    steps: Annotated[int | None, typer.Option(min=2, help="Of integrated gradients; by default explain.steps.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="mask or pad: the token that stands for no word; by default explain.baseline.")
    ] = None,
    samples: Annotated[int | None, typer.Option(min=10, help="Of LIME; by default explain.lime_samples.")] = None,
) -> None:
    """Explain texts: prints the label of each, and the words for and against it."""
    from pipeline.commands.explain import Request, explain_file, settings_with_defaults
    from pipeline.sources.text_format import Choice

    settings = settings_with_defaults(steps, baseline, samples, Path("params.yaml"))
    choice = Choice(input_format, text_column, "--input-format")
    explain_file(Request(source, bundle, method, choice, format_, settings), sys.stdout)


@app.command()
def suggest(
    count: Annotated[int, typer.Argument(metavar="N", help="How many rows.")],
    csv: Annotated[Path, typer.Option(help="CSV file to write, with an empty column for the label.")] = Path(
        "suggestions.csv"
    ),
    label_studio: Annotated[
        Path | None, typer.Option(help="Also write them as tasks for Label Studio, a .json file.")
    ] = None,
) -> None:
    """Choose the N unlabelled rows whose labels would help most."""
    from pipeline.core.params import load_params
    from pipeline.core.stage import Paths
    from pipeline.labelling.suggest import SuggestionFiles
    from pipeline.labelling.suggest import suggest as choose

    root = Path.cwd()
    print("\n".join(choose(count, SuggestionFiles(csv, label_studio), load_params(root / "params.yaml"), Paths(root))))


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
) -> None:
    """Measure what each stage earns on held-out labels, and its minutes; the test split stays closed."""
    from cli import ablate as command

    raise typer.Exit(command.main(Path.cwd(), seeds, share, with_ or [], only or []))


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


def main() -> None:
    """Run the command; a user's error ends as one line on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
