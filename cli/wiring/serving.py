"""Commands of the service: serve, monitor, keys."""

from pathlib import Path
from typing import Annotated

import typer

from cli.wiring.answers import Bundle, Version
from cli.wiring.project_folder import project_folder

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Create, list and revoke the API keys of `gleaner serve`.")
app.add_typer(keys, name="keys")

KeyName = Annotated[str, typer.Argument(metavar="NAME", help="Who uses it, such as shop-backend.")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; by default serve.host.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="By default serve.port; 0: a free one.")] = None,
    version: Version = None,
    bundle: Bundle = None,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Ask for no keys; on loopback only.")] = False,
    create_key: Annotated[
        bool, typer.Option("--create-key", help="Make a key and print it if there is none yet.")
    ] = False,
) -> None:
    """Answer over HTTP with the champion, and follow promotions and rollbacks, until interrupted."""
    from cli import serve as command

    raise typer.Exit(command.main(project_folder(), command.Options(host, port, version, bundle, no_auth, create_key)))


@app.command()
def monitor(
    version: Version = None,
    hours: Annotated[float | None, typer.Option(min=0.01, max=8760, help="By default monitor.hours.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    notify: Annotated[
        bool, typer.Option("--notify", help="Record the look, and tell what began or ended since the last.")
    ] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write a page.")] = None,
) -> None:
    """Compare the traffic of a served version with its training; exit code 1 if something is found."""
    from cli import monitor as command

    raise typer.Exit(command.main(project_folder(), version, hours, as_json, notify, html))


@keys.command("create")
def create(
    name: KeyName,
    scope: Annotated[list[str], typer.Option(help="predict, explain, feedback or admin (all); repeatable.")],
) -> None:
    """Make a key, and print it as the last word: it is stored as a digest, and cannot be shown again."""
    from cli import keys as command

    raise typer.Exit(command.create(project_folder(), name, scope))


@keys.command("list")
def list_keys() -> None:
    """Print the keys: name, scopes, when they were made, id."""
    from cli import keys as command

    raise typer.Exit(command.list_all(project_folder()))


@keys.command("revoke")
def revoke(name: Annotated[str, typer.Argument(metavar="NAME", help="The key's name or id.")]) -> None:
    """Revoke a key; the service refuses it at once."""
    from cli import keys as command

    raise typer.Exit(command.revoke(project_folder(), name))
