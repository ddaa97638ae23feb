"""Commands that label and explain texts: predict, explain."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def predict(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, JSON Lines or plain lines; - reads stdin.")],
    bundle: Annotated[Path, typer.Option(help="The folder of the classifier.")] = Path("data/export/bundle"),
    text_column: Annotated[str, typer.Option(help="The column or key that holds the text.")] = "text",
) -> None:
    """Label texts: writes the rows of the input with label and confidence added."""
    from pipeline.commands.predict import predict_file

    predict_file(source, bundle, text_column, sys.stdout)


@app.command()
def explain(
    source: Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, JSON Lines or plain lines; - reads stdin.")],
    method: Annotated[str, typer.Option(help="integrated_gradients, rollout, lime or all.")] = "integrated_gradients",
    bundle: Annotated[
        Path, typer.Option(help="The folder of the classifier; data/finetune/model has no class offsets yet.")
    ] = Path("data/export/bundle"),
    text_column: Annotated[str, typer.Option(help="The column or key that holds the text.")] = "text",
    format_: Annotated[str, typer.Option("--format", help="text, json (JSON Lines) or html.")] = "text",
    steps: Annotated[
        int | None,
        typer.Option(min=2, help="Steps of integrated gradients; by default explain.steps of params.yaml."),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="mask or pad: the token that stands for no word; by default explain.baseline of params.yaml."
        ),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(min=10, help="Variants of each text, for LIME; by default explain.lime_samples of params.yaml."),
    ] = None,
) -> None:
    """Explain texts: prints the label of each, and the words for and against it."""
    from pipeline.commands.explain import Request, explain_file, settings_with_defaults

    settings = settings_with_defaults(steps, baseline, samples, Path("params.yaml"))
    explain_file(Request(source, bundle, method, text_column, format_, settings), sys.stdout)
