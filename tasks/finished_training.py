"""The training that a run would find finished: every stage up to date, the gate passed, the version registered.

It is found without Prefect and, where the store is an SQLite file, without MLflow: to start them takes most of the time
of a run that has nothing to do. Whatever is in doubt is left to the training flow, which says it, mends it, or waits.
"""

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.installed import require_pinned_code
from pipeline.core.params import Params, read_yaml
from pipeline.policies.gate import GateVerdict
from pipeline.policies.limit_changes import changes_from_json
from tasks.dvc.arrivals import restore_arrivals
from tasks.dvc.graph import graph_of
from tasks.dvc.outputs import checkable_outputs, outputs_that_differ
from tasks.dvc.repository import FilesInUse, open_repo
from tasks.gate_verdict import read_verdict
from tasks.git.lineage import json_digest
from tasks.registry.champion_record import ChampionRecord, read_champion_record
from tasks.registry.newest_training import is_newest_complete
from tasks.registry.registration import Registration
from tasks.registry.version_choice import CHAMPION
from tasks.registry.version_tags import COMPLETE, DVC_LOCK, LIMIT_CHANGES, NO, RETIRED


@dataclass(frozen=True)
class FinishedTraining:
    """The stages in their order, the gate's verdict, which is a pass, and the version of the project's dvc.lock."""

    stages: list[str]
    verdict: GateVerdict
    version: Registration


def find_finished_training(root: Path, params: Params) -> FinishedTraining | None:
    """The training of the project as it is now; None if a stage, the verdict or the registry leaves anything to do.

    Raises UserError as the training flow does if the code is not the one that the project was made with, if a file of
    arrivals is lost, or if DVC cannot read the project.
    """
    if not (root / "dvc.lock").exists():
        return None
    require_pinned_code(root)
    restore_arrivals(root, params)
    try:
        stages = stages_if_current(root)
    except FilesInUse:
        return None
    version = registered_version(root, params) if stages else None
    if stages is None or version is None:
        return None
    verdict = read_verdict(root, params.gate)
    return FinishedTraining(stages, verdict, version) if verdict.status == "pass" else None


def stages_if_current(root: Path) -> list[str] | None:
    """The stages in their order; None unless DVC finds all up to date, and each output is what dvc.lock records.

    DVC is asked once for all stages. Each byte of the outputs is read, as the training flow does.
    """
    with open_repo(root) as repo:
        if repo.status():
            return None
        recorded = read_yaml(root / "dvc.lock")["stages"]
        stages = list(graph_of(repo))
        outs = [out for name in stages for out in checkable_outputs(recorded.get(name, {}))]
        return None if outputs_that_differ(repo, outs) else stages


def registered_version(root: Path, params: Params) -> Registration | None:
    """The version of the project's dvc.lock; None if there is none, or if the registry holds what a run would mend."""
    model = params.registry.model
    record = read_champion_record(root, model)
    if not is_settled(record) or not is_newest_complete(root, params):
        return None
    digest = json_digest(read_yaml(root / "dvc.lock"))
    for number, version in record.versions.items():
        if version.tags.get(DVC_LOCK) == digest and RETIRED not in version.tags:
            changes = changes_from_json(version.tags.get(LIMIT_CHANGES, "[]"))
            return Registration(model, number, version.aliases, is_new=False, limit_changes=tuple(changes))
    return None


def is_settled(record: ChampionRecord) -> bool:
    """Whether every version is completely registered, and the promotion log's champion has the alias."""
    versions = record.versions
    if any(version.tags.get(COMPLETE) == NO and RETIRED not in version.tags for version in versions.values()):
        return False
    champion = versions.get(record.log.champion or "")
    return champion is not None and CHAMPION in champion.aliases and not record.log.faults
