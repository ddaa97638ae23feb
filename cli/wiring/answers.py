"""Commands that label and explain texts: predict, explain."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.wiring.project_folder import project_of_bundle

app = typer.Typer()

TextSource = Annotated[str, typer.Argument(metavar="FILE|-", help="CSV, JSON or plain lines; - reads stdin.")]
TextColumn = Annotated[str | None, typer.Option(help="Column or key of the text; by default one of a known name.")]
Version = Annotated[
    str | None,
    typer.Option(metavar="N", help="A registered version: its number, champion or challenger; by default champion."),
]
Bundle = Annotated[Path | None, typer.Option(help="The folder of a classifier, instead of a registered version.")]
INPUT_FORMAT = "csv, tsv, jsonl or lines; by default by the ending or the content."


@app.command()
def predict(
    source: TextSource,
    version: Version = None,
    bundle: Bundle = None,
    text_column: TextColumn = None,
    format_: Annotated[str | None, typer.Option("--format", help=INPUT_FORMAT)] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Compare the answers with the labels of the input, on stderr.")
    ] = False,
    label_column: Annotated[str, typer.Option(help="Column or key of these labels.")] = "label",
) -> None:
    """Label texts: writes the rows of the input with label, confidence and the version that answered added."""
    from cli.served_bundle import choose_bundle
    from pipeline.commands.predict import Request, predict_file
    from pipeline.sources.text_format import Choice

    root = project_of_bundle(bundle)
    served, choice = choose_bundle(root, version, bundle), Choice(format_, text_column)
    predict_file(Request(source, served, choice, score, label_column, root), sys.stdout)


@app.command()
def explain(
    source: TextSource,
    method: Annotated[str, typer.Option(help="integrated_gradients, rollout, lime or all.")] = "integrated_gradients",
    version: Version = None,
    bundle: Bundle = None,
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
    from cli.served_bundle import choose_bundle
    from pipeline.commands.explain import Request, explain_file, settings_with_defaults
    from pipeline.sources.text_format import Choice

    settings = settings_with_defaults(steps, baseline, samples, project_of_bundle(bundle) / "params.yaml")
    choice = Choice(input_format, text_column, "--input-format")
    served = choose_bundle(project_of_bundle(bundle), version, bundle)
    explain_file(Request(source, served, method, choice, format_, settings), sys.stdout)
