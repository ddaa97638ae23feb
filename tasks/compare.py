"""Challenger and champion answer the same frozen test rows, as Prefect tasks; pipeline/policies/promotion decides."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
from prefect import task
from prefect.cache_policies import NO_CACHE

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Params
from pipeline.core.stage import Paths, withhold_message
from pipeline.policies import promotion
from pipeline.policies.promotion import ComparedModel, ComparedRows, PromotionCase
from tasks.dvc import store
from tasks.dvc.lock_file import md5_of
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, champion_alias, lookup, versions
from tasks.registry.registered_version import RegisteredVersion
from tasks.registry.retirement import require_in_use
from tasks.registry.store import connect

TEST_FILE = "data/ingest/test.parquet"
KNOWN_FILES = ("data/ingest/train.parquet", "data/ingest/validation.parquet")  # gold rows that a training has seen


@dataclass(frozen=True)
class Pair:
    """A challenger, and the champion that it may replace."""

    model: str
    champion: RegisteredVersion
    challenger: RegisteredVersion
    chosen_by_number: bool  # by the user; otherwise by its alias
    notes: tuple[str, ...] = ()


@task(name="choose", task_run_name="choose", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def choose_versions(root: Path, params: Params, number: str | None) -> Pair:
    """The champion, and the challenger of this number, by default the one with the alias.

    Raises UserError if one of them is missing or both are the same version, or if somebody moved the alias.
    """
    client, model = connect(root), params.registry.model
    versions.finish_registrations(client, model, params.promotion)
    state = champion_alias.load_champion_state(client, model)
    if fault := champion_alias.describe_unsettled_champion(client, model, state):
        raise UserError(fault)
    champion = champion_alias.find_champion(client, model, state.ledger)
    if champion is None:
        raise UserError(f"{model}: expected a champion to compare with, found none; `gleaner run` registers the first")
    wanted = number or lookup.version_at_alias(client, model, "challenger")
    if wanted is None:
        raise UserError(f"{model}: expected a version with the alias challenger, found none; name one with --version")
    challenger = require_in_use(lookup.get_version(client, model, wanted))
    if challenger.number == champion.number:
        raise UserError(
            f"{model}: expected a challenger, found version {champion.number}, which is the champion already; "
            "`gleaner run` registers another one when data, params or code have changed, --version N names an earlier "
            "one"
        )
    notes = champion_alias.list_notes(state)
    return Pair(model, champion, challenger, number is not None, notes)


@task(name="compare", task_run_name="compare", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def compare(root: Path, params: Params, pair: Pair) -> PromotionCase:
    """Let both versions answer the challenger's test rows, except those that the champion was trained on.

    Every byte of both bundles is checked before. Raises UserError if no row is left, or a bundle or the rows are gone.
    """
    test, md5 = load_test_rows(root, pair.challenger)
    known = load_known_rows(root, pair.champion)
    left_out = promotion.find_known_rows(test, known) if known is not None else pd.Series(False, index=test.index)
    rows = test[~left_out].reset_index(drop=True)
    if rows.empty:
        raise UserError(
            f"{pair.challenger.title}: expected test rows that {pair.champion.title} was not trained on, found none; "
            "label fresh ones"
        )
    scratch, batch_size = Paths(root).scratch("promotion"), params.encoder.batch_size
    champion, champion_answers = answer_rows(pair.champion, rows, batch_size, scratch)
    challenger, challenger_answers = answer_rows(pair.challenger, rows, batch_size, scratch)
    compared = ComparedRows(
        md5=md5,
        digest=promotion.digest_rows(test),
        total=len(test),
        compared=len(rows),
        left_out=int(left_out.sum()) if known is not None else None,
        unknown_to_champion=int((~rows["label"].isin(champion.labels)).sum()),
    )
    answers = rows[["id", "label", *table.group_columns(rows)]].assign(
        champion=champion_answers, challenger=challenger_answers
    )
    return PromotionCase(pair.model, champion, challenger, answers, compared)


def answer_rows(
    version: RegisteredVersion, rows: pd.DataFrame, batch_size: int, scratch: Path
) -> tuple[ComparedModel, list[str]]:
    """The label that a version gives to each row, after every byte of its bundle was checked."""
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder, withhold_message(scratch / "crash.txt"):
        bundle = bundles.fetch_bundle(version, Path(folder))
        labels, answers = promotion.predict_labels(bundle, rows, batch_size, scratch / "answers")
        return ComparedModel(version.number, version.run, bundles.manifest_digest(bundle), labels), answers


def load_test_rows(root: Path, version: RegisteredVersion) -> tuple[pd.DataFrame, str]:
    """The labelled test rows that a version was registered with, and the MD5 of their file."""
    lock = version.lock_or_none()
    md5 = md5_of(lock, TEST_FILE) if lock else None
    if md5 is None:
        raise UserError(
            f"{version.title}: expected {TEST_FILE} in the dvc.lock that it was registered with, found none; "
            "`gleaner run` registers versions with it"
        )
    rows = table.read(store.find_content(root, TEST_FILE, md5))
    return rows[rows["label"].notna()].reset_index(drop=True), md5


def load_known_rows(root: Path, version: RegisteredVersion) -> list[pd.DataFrame] | None:
    """The gold rows that a version was trained and tuned on; None if they are not stored any more."""
    lock = version.lock_or_none()
    digests = {path: md5_of(lock, path) for path in KNOWN_FILES} if lock else {}
    if digests.get(KNOWN_FILES[0]) is None:
        return None
    try:
        return [table.read(store.find_content(root, path, md5)) for path, md5 in digests.items() if md5]
    except UserError:
        return None
