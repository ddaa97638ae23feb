"""The ``gleaner`` command. Prefect and MLflow are imported by the commands that need them, so that --help is fast.

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


@app.command()
def run() -> None:
    """Run every stage that is not up to date, then the gate, then the registry."""
    from cli.run import main as train

    raise typer.Exit(train(Path.cwd()))


@app.command()
def retrain(
    force: Annotated[bool, typer.Option("--force", help="Train, whatever speaks against it.")] = False,
    now: Annotated[
        datetime | None, typer.Option(hidden=True, help="What the clock says, UTC, for simulations.")
    ] = None,
) -> None:
    """Do now what a scheduled night does: new data in, train if there is a reason to, promote what is better."""
    from cli.retrain import main as night

    raise typer.Exit(night(Path.cwd(), force, now.replace(tzinfo=UTC) if now else None))


@app.command()
def nights() -> None:
    """Print what each night decided, and why."""
    from flows.outcomes.night import history, show
    from flows.prefect_server import configure as settings

    settings(Path.cwd())
    show(history(Path.cwd()))


@app.command()
def schedule() -> None:
    """Create the deployment of prefect.yaml and work on its nights until interrupted, on loopback."""
    from cli.schedule import main as serve

    raise typer.Exit(serve(Path.cwd()))


@app.command()
def simulate(
    days: Annotated[int, typer.Option(min=14, max=60, help="How many nights.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Of what arrives.")] = 0,
) -> None:
    """Play a month of nights on the demo, with drift, bad labels and a crash; prints the history."""
    from cli.simulate import main as play

    raise typer.Exit(play(Path.cwd(), days, seed))


@app.command()
def configure(
    file: Annotated[Path, typer.Argument(help="An overlay, such as examples/banking77.yaml.")],
    data: Annotated[str | None, typer.Option(help="The folder for ${GLEANER_DATA} in the overlay.")] = None,
) -> None:
    """Merge an overlay into params.yaml, refusing unknown keys."""
    from pipeline.commands.configure import configure as merge

    changed = merge(file, Path("params.yaml"), data)
    print("\n".join(f"changed {key}" for key in changed) or "params.yaml has all of these values already")


@app.command()
def predict(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, JSON Lines or plain lines; - reads stdin.")],
    bundle: Annotated[Path, typer.Option(help="The folder of the classifier.")] = Path("data/export/bundle"),
    text_column: Annotated[str, typer.Option(help="The column or key that holds the text.")] = "text",
) -> None:
    """Label texts: the rows of the input with label and confidence added."""
    from pipeline.commands.predict import predict_file

    predict_file(source, bundle, text_column, sys.stdout)


@app.command()
def explain(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, JSON Lines or plain lines; - reads stdin.")],
    method: Annotated[str, typer.Option(help="integrated_gradients, rollout, lime or all.")] = "integrated_gradients",
    bundle: Annotated[
        Path, typer.Option(help="The folder of the classifier; finetune's model comes before class offsets.")
    ] = Path("data/export/bundle"),
    text_column: Annotated[str, typer.Option(help="The column or key that holds the text.")] = "text",
    format_: Annotated[str, typer.Option("--format", help="text, json (JSON Lines) or html.")] = "text",
    steps: Annotated[int, typer.Option(min=2, help="Of integrated gradients.")] = 32,
    baseline: Annotated[str, typer.Option(help="mask or pad: the token that stands for no word.")] = "mask",
    samples: Annotated[int, typer.Option(min=10, help="Of LIME: variants of each text.")] = 500,
) -> None:
    """Say why: for each text its label as it is served, and the words that spoke for and against it."""
    from pipeline.attribution import Settings
    from pipeline.commands.explain_file import Request, explain_file

    settings = Settings(steps, baseline, samples, seed=0)
    explain_file(Request(source, bundle, method, text_column, format_, settings), sys.stdout)


@app.command()
def suggest(
    count: Annotated[int, typer.Argument(metavar="N", help="How many rows.")],
    csv: Annotated[Path, typer.Option(help="Where they go, with an empty column for the label.")] = Path(
        "suggestions.csv"
    ),
    label_studio: Annotated[Path | None, typer.Option(help="The same as tasks for Label Studio, a .json file.")] = None,
) -> None:
    """Choose the N unlabelled rows whose labels would help most."""
    from pipeline.core.params import load
    from pipeline.core.stage import Paths
    from pipeline.labelling.suggest import Files
    from pipeline.labelling.suggest import suggest as choose

    root = Path.cwd()
    print("\n".join(choose(count, Files(csv, label_studio), load(root / "params.yaml"), Paths(root))))


@app.command()
def ablate(
    seeds: Annotated[int, typer.Option(min=1, help="How often, each time with other gold rows held out.")] = 3,
    share: Annotated[float, typer.Option(min=0.01, max=0.9, help="Of each class's gold rows, held out.")] = 0.25,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", help="Judge an addition: lora, ensemble, ... or finetune.lr=1e-4; repeatable."),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Judge only this, e.g. synonyms; repeatable.")] = None,
) -> None:
    """Tell what each stage earned on held-out labels, and for how many minutes; the test split stays closed."""
    from cli.ablate import main as judge

    raise typer.Exit(judge(Path.cwd(), seeds, share, with_ or [], only or []))


@app.command("explain-version")
def explain_version(
    version: Annotated[
        str | None, typer.Argument(metavar="N", help="Its number or alias; by default champion.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Say what a registered version was made of, what changed since the champion, and how to rebuild it."""
    from cli.explain_version import main as explain

    raise typer.Exit(explain(Path.cwd(), version, as_json))


@app.command("verify-version")
def verify_version(
    version: Annotated[
        str | None, typer.Argument(metavar="N", help="Its number or alias; by default champion.")
    ] = None,
    stage: Annotated[str | None, typer.Option(help="Stop after this stage.")] = None,
) -> None:
    """Rebuild a registered version elsewhere and tell whether it comes out the same, bit for bit."""
    from cli.verify_version import main as verify

    raise typer.Exit(verify(Path.cwd(), version, stage))


@app.command()
def promote(
    version: Annotated[str | None, typer.Option(help="Its number; by default the alias challenger.")] = None,
) -> None:
    """Judge a version beside the champion on the same test rows, and make it champion if it is better."""
    from cli.champion import promote as judge

    raise typer.Exit(judge(Path.cwd(), version))


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="A version that was champion; by default the one before.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the promotion log.")] = "",
) -> None:
    """Make an earlier champion champion again."""
    from cli.champion import rollback as back

    raise typer.Exit(back(Path.cwd(), to, reason))


@app.command()
def history(
    at: Annotated[str | None, typer.Option(metavar="DATE", help="A day or a time, ISO 8601, UTC.")] = None,
) -> None:
    """Tell which version was champion when, and why it changed."""
    from cli.history import main as tell

    raise typer.Exit(tell(Path.cwd(), at))


@app.command()
def doctor() -> None:
    """Say what is missing or misconfigured on this machine, and the fix."""
    from cli.doctor import examine, show

    raise typer.Exit(show(examine(Path.cwd())))


@app.command()
def ui() -> None:
    """Serve the pages of Prefect and MLflow on loopback until interrupted."""
    from cli.ui import main as serve

    raise typer.Exit(serve(Path.cwd()))


def main() -> None:
    """Entry point: a user's mistake ends as one line on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
