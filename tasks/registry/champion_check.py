"""Whether the champion of a project can be served: its bundle is fetched, and every byte of it checked."""

from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.params import load_params
from tasks.registry import bundles, lookup, promotion_log
from tasks.registry.project_store import DATABASE
from tasks.registry.store import connect, is_in_project


def check_champion(root: Path) -> str:
    """One line about the champion by the promotion log. Raises UserError if its bundle is gone or changed."""
    if is_in_project(root) and not (root / DATABASE).exists():
        return "no version was registered yet"
    client, model = connect(root), load_params(root / "params.yaml").registry.model
    ledger = promotion_log.read(client, model)
    champion = ledger.champion
    if champion is None and ledger.periods:
        return f"{model}: the last champion was removed, and no version is champion now; see `gleaner history`"
    if champion is None:
        return f"{model}: no version was champion yet"
    with TemporaryDirectory() as folder:
        bundles.fetch_bundle(lookup.get_version(client, model, champion), Path(folder))
    return f"champion: {model} version {champion}, every byte of its bundle checked; `gleaner history` shows the rest"
