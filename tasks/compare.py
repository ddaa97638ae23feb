"""Challenger and champion on the same frozen test rows, as Prefect tasks; the policy is pipeline/policies/promotion."""

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
from pipeline.policies.promotion import Case, Model, Rows
from tasks.dvc import store
from tasks.dvc.lock_file import md5_of
from tasks.prefect_states.user_error import as_failed_state
from tasks.registry import bundles, lookup, promotion_log
from tasks.registry.lookup import RegisteredVersion
from tasks.registry.store import connect

TEST = "data/ingest/test.parquet"
KNOWN = ("data/ingest/train.parquet", "data/ingest/validation.parquet")


@dataclass(frozen=True)
class Pair:
    """A challenger and the champion that it wants to follow."""

    model: str
    champion: RegisteredVersion
    challenger: RegisteredVersion
    named: bool  # by number, not by the alias
    notes: tuple[str, ...] = ()


@task(name="choose", task_run_name="choose", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def choose(root: Path, params: Params, number: str | None) -> Pair:
    """Challenger (by default the alias) and champion; UserError when there are no two to compare."""
    client, model = connect(root), params.registry.model
    found = promotion_log.standing(client, model)
    champion = found.ledger.champion
    if champion is None:
        raise UserError(f"{model}: expected a champion to compare with, found none; `gleaner run` registers the first")
    if found.moved_by_hand:
        raise UserError(promotion_log.by_hand(model, found))
    wanted = number or lookup.alias(client, model, "challenger")
    if wanted is None:
        raise UserError(f"{model}: expected a version with the alias challenger, found none; name one with --version")
    challenger = lookup.numbered(client, model, wanted)
    if challenger.number == champion:
        raise UserError(
            f"{model}: expected a challenger, found version {champion}, which is the champion already; `gleaner run` "
            "registers another one when data, params or code have changed, --version N names an earlier one"
        )
    return Pair(
        model, lookup.numbered(client, model, champion), challenger, number is not None, promotion_log.notes(found)
    )


@task(name="compare", task_run_name="compare", cache_policy=NO_CACHE, persist_result=False)
@as_failed_state
def compare(root: Path, params: Params, pair: Pair) -> Case:
    """Both answer the challenger's own test rows, less those that the champion knows; their bundles are checked."""
    test, md5 = test_rows(root, pair.challenger)
    known = known_rows(root, pair.champion)
    left_out = promotion.seen(test, known) if known is not None else pd.Series(False, index=test.index)
    rows = test[~left_out].reset_index(drop=True)
    if rows.empty:
        raise UserError(
            f"{pair.challenger.title}: expected test rows that {pair.champion.title} was not trained on, found none; "
            "label fresh ones"
        )
    scratch, batch = Paths(root).scratch("promotion"), params.encoder.batch_size
    champion, old = answers(pair.champion, rows, batch, scratch)
    challenger, new = answers(pair.challenger, rows, batch, scratch)
    about = Rows(
        md5=md5,
        digest=promotion.digest(test),
        total=len(test),
        compared=len(rows),
        left_out=int(left_out.sum()) if known is not None else None,
        unknown_to_champion=int((~rows["label"].isin(champion.labels)).sum()),
    )
    answered = rows[["id", "label", *table.group_columns(rows)]].assign(champion=old, challenger=new)
    return Case(pair.model, champion, challenger, answered, about)


def answers(version: RegisteredVersion, rows: pd.DataFrame, batch_size: int, scratch: Path) -> tuple[Model, list[str]]:
    """What a version answers to each row, after every byte of its bundle was checked."""
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder, withhold_message(scratch / "crash.txt"):
        bundle = bundles.fetch(version, Path(folder))
        labels, found = promotion.answers(bundle, rows, batch_size, scratch / "answers")
        return Model(version.number, version.run, bundles.seal_of(bundle), labels), found


def test_rows(root: Path, version: RegisteredVersion) -> tuple[pd.DataFrame, str]:
    """The labelled test rows that a version was registered with, and the MD5 of their file."""
    lock = version.lock_or_none()
    md5 = md5_of(lock, TEST) if lock else None
    if md5 is None:
        raise UserError(
            f"{version.title}: expected {TEST} in the dvc.lock that it was registered with, found none; "
            "`gleaner run` registers versions with it"
        )
    rows = table.read(store.find(root, TEST, md5))
    return rows[rows["label"].notna()].reset_index(drop=True), md5


def known_rows(root: Path, version: RegisteredVersion) -> list[pd.DataFrame] | None:
    """The gold rows that a version was trained and tuned on; None when they cannot be had any more."""
    lock = version.lock_or_none()
    digests = {path: md5_of(lock, path) for path in KNOWN} if lock else {}
    if digests.get(KNOWN[0]) is None:
        return None
    try:
        return [table.read(store.find(root, path, md5)) for path, md5 in digests.items() if md5]
    except UserError:
        return None
