"""Forgets rows: finds them everywhere, enters it in data/operations.jsonl, removes them, and says what is left.

It can be killed at any point: the same command goes on from there, because rows are found by their ids, which are
hashes of their texts, and the entry names what was found before anything was removed.
"""

import hashlib
import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline.core.params import Params
from pipeline.core.stage import write_atomically
from pipeline.labelling.arrivals import DIGEST_LENGTH, file_digest
from pipeline.labelling.forgetting import Wanted, search_file
from pipeline.labelling.operations_log import DONE, REWRITTEN, STARTED, read_entries, unfinished_arrivals
from pipeline.sources import arrival_files
from tasks.dvc.objects import CACHE, local_places
from tasks.dvc.store import DvcStore, file_md5, open_dvc_store
from tasks.forget.findings import Finding, delete_vectors, find_in_files, find_in_objects
from tasks.forget.pointers import find_absent, pointed_files
from tasks.forget.traffic import delete_numbers, find_in_traffic, find_references, traffic_notes
from tasks.forget.versions import Learned, find_learned
from tasks.operations_log import append_entry
from tasks.refresh import add_to_dvc, commit_pointers
from tasks.registry.retirement import retire_version
from tasks.registry.store import is_in_project


@dataclass
class Plan:
    """What was found, and what people have to know."""

    findings: list[Finding]
    learned: list[Learned]
    missing: list[str]  # requests of which nothing was found, now or before
    arrivals: list[str]  # files of arrivals that DVC has to track anew
    notes: list[str] = field(default_factory=list)
    remotes: list[str] = field(default_factory=list)  # that are no folder of this machine

    @property
    def left(self) -> list[Finding]:
        """What people have to do themselves."""
        return [item for item in self.findings if item.action in ("left", "unsearched", "absent", "untold")]


def make_plan(root: Path, params: Params, wanted: Wanted, requests: dict[str, set[str]], match: Path | None) -> Plan:
    """Search every place for the wanted rows. Changes nothing."""
    learn_texts(root, params, wanted)
    entries = [entry for entry in read_entries(root, STARTED, DONE) if wanted.ids & set(entry["ids"])]
    started = [entry for entry in entries if entry["operation"] == STARTED]
    was_cut_off = bool(entries) and entries[-1]["operation"] == STARTED
    known_before = {row for entry in entries for row in entry["ids"]}
    notes = server_notes(root)
    with ExitStack() as stack:
        store = stack.enter_context(open_dvc_store(root)) if (root / ".dvc").is_dir() else None
        places, others = local_places(store) if store else ([], [])
        ignored = {path for place in places for path in (place.folder, place.folder.parents[1])}
        ignored |= {match.resolve()} if match else set()
        cache = next((place.folder.resolve() for place in places if place.name == CACHE), None)
        pointed = pointed_files(store) if store else {}
        files = list(find_in_files(root, params, wanted, ignored, cache, set(pointed)))
        owned = {file_md5(finding.path) for finding in files if finding.action == "left"}
        objects = list(find_in_objects(places, wanted, owned))
        absent = find_absent(
            root, pointed, {item.name for item in objects if item.action == "object"}, unfinished_arrivals(root)
        )
        kept = {pointed[item.name] for item in absent}
        files, objects = [*files, *absent], [item for item in objects if item.name not in kept]
        before = {number for entry in started for number in entry["versions"]}
        learned = find_learned(root, params, store, wanted, before)
    files += [*find_in_traffic(root, params, wanted), *find_references(root, params, learned)]
    notes += traffic_notes(root, params, wanted)
    missing = [name for name, ids in requests.items() if not ids & (wanted.seen | known_before)]
    arrivals = [finding.name for finding in files if finding.action == "arrivals"]
    if was_cut_off:  # DVC and git may not have the rest yet
        arrivals += [name for name in started[-1]["arrivals"] if (root / name).exists()]
    findings = sorted([*objects, *files], key=lambda finding: finding.rank)
    return Plan(findings, learned, missing, list(dict.fromkeys(arrivals)), notes, others)


def learn_texts(root: Path, params: Params, wanted: Wanted) -> None:
    """Learn the texts of the wanted rows, and the ids and texts of what derives from them, from tables and arrivals."""
    for path in sorted((root / "data").glob("*/*.parquet")):
        rows = read_columns(path, ["id", "source_id", "text"])
        hit = rows["id"].isin(wanted.ids) | rows["source_id"].isin(wanted.ids) | rows["text"].map(wanted.is_wanted)
        wanted.seen |= set(rows.loc[hit, "id"]) & wanted.ids
        sure = wanted.without_masked() or wanted
        for row, source, text in rows.loc[hit, ["id", "source_id", "text"]].itertuples(index=False):
            is_masked = not ({row, source} & sure.ids or sure.is_wanted(text))
            if is_masked and row not in wanted.ids:
                wanted.masked_ids.add(row)
            wanted.ids.add(row)
            wanted.learn(text, is_masked)
    for path in arrival_files.list_files(root / params.ingest.arrivals):
        for text in read_columns(path, ["text"])["text"]:
            if wanted.is_wanted(text):
                wanted.learn(text, not (wanted.without_masked() or wanted).is_wanted(text))


def read_columns(path: Path, names: list[str]) -> pd.DataFrame:
    """These columns of a table as text; no rows if it lacks one or cannot be read."""
    import pyarrow as pa

    try:
        return pd.read_parquet(path, columns=names).fillna("").astype(str)
    except (pa.ArrowException, OSError, ValueError, KeyError):
        return pd.DataFrame(columns=names, dtype="str")


def server_notes(root: Path) -> list[str]:
    """What is kept outside the project and was not searched."""
    if is_in_project(root):
        return []
    return ["MLflow: a server keeps the artifacts of versions, which hold no text; they were not searched"]


def apply_plan(root: Path, params: Params, wanted: Wanted, plan: Plan, retire: bool) -> list[Learned]:
    """Enter the plan in the log, remove the rows, and retire versions if asked; returns the retired ones."""
    ids = sorted(wanted.ids)
    numbers = {known: [one.version.number for one in plan.learned if one.is_known == known] for known in (True, False)}
    content = {"ids": ids, "versions": numbers[True], "unknown": numbers[False], "arrivals": plan.arrivals}
    append_entry(root, STARTED, content | {"files": [f"{item.place}: {item.name}" for item in plan.findings]})
    for finding in plan.findings:
        if finding.path.is_symlink():  # into the cache, whose object goes now
            write_atomically(finding.path, partial(shutil.copyfile, finding.path))
    remove_objects(root, plan)
    for finding in plan.findings:
        apply_finding(root, finding, wanted)
    if plan.arrivals:
        add_to_dvc([root / name for name in plan.arrivals], root)
        if params.refresh.commit:
            commit_pointers([f"{name}.dvc" for name in plan.arrivals], root)
    retired = []
    if retire:
        retired = [learned for learned in plan.learned if not learned.is_champion and not learned.is_retired]
        for learned in retired:
            retire_version(learned.version, learned.reason)
    left = [finding.name for finding in plan.left]
    append_entry(root, DONE, {"ids": ids, "left": left, "retired": [item.version.number for item in retired]})
    return retired


def remove_objects(root: Path, plan: Plan) -> None:
    """Remove the objects of DVC that hold the rows from cache and remote."""
    objects = [finding for finding in plan.findings if finding.action == "object"]
    if not objects:
        return
    with open_dvc_store(root) as store:
        remove_from(store, objects)


def remove_from(store: DvcStore, objects: list[Finding]) -> None:
    """Remove objects from the places of a store, while no other process changes them."""
    with store.repo.lock:
        for place in local_places(store)[0]:
            place.remove([finding.path for finding in objects if finding.place == place.name])


def apply_finding(root: Path, finding: Finding, wanted: Wanted) -> None:
    """Do with one file what its action says. A file that changed meanwhile is searched again.

    The log gets the new digest of a file of arrivals, which counts as read by the trainings that read the old one.
    """
    if finding.action == "remove":
        finding.path.unlink(missing_ok=True)
    elif finding.action == "vectors":
        delete_vectors(finding.path, wanted)
    elif finding.action == "numbers":
        delete_numbers(finding.path, wanted)
    elif finding.action == "reference":
        shutil.rmtree(finding.path, ignore_errors=True)
    elif finding.action in ("rewrite", "arrivals") and finding.path.exists():
        found = search_file(finding.path, wanted)
        if found is not None and found.rest is not None:
            if finding.action == "arrivals":
                after = hashlib.sha256(found.rest).hexdigest()[:DIGEST_LENGTH]
                entry = {"file": finding.path.name, "before": file_digest(finding.path), "after": after}
                append_entry(root, REWRITTEN, entry)
            mode = finding.path.stat().st_mode
            found.write_rest(finding.path)
            finding.path.chmod(mode)
