"""The trials of an ablation: every variant is trained with every seed, and predicts the rows that the seed holds out.

On a Ray cluster the seeds are trained at once, each by one worker. The project must then lie on a file system that all
nodes share.
"""

import hashlib
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.compute.ray_cluster import folder_of_machine, run_each
from pipeline.core.errors import UserError
from pipeline.core.params import Compute, Params, validate_params
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments import ablation, stage_cache
from pipeline.experiments.ablation import EVERYTHING, Variant
from pipeline.experiments.stage_runner import StageCost, StageFailed, apply_changes, seconds_per_text, stage_names
from pipeline.mitigation import offset_selection

FIRST, LAST = "pretrain", "finetune"  # no model is exported: the network itself predicts


@dataclass(frozen=True)
class Trial:
    """The predictions of one variant on the held-out rows of one seed.

    ``seconds`` is the time that its stages take with an empty store of text vectors.
    """

    answers: list[str]
    seconds: float


@dataclass(frozen=True)
class Trials:
    """The held-out rows of each seed, the trials of each variant in the order of the seeds, and why variants failed."""

    held_out: list[pd.DataFrame]
    by_variant: dict[str, list[Trial]]
    failed: dict[str, str]  # variant: its error


@dataclass(frozen=True)
class SeedTrials:
    """The held-out rows of one seed, the trial of each variant that trained, and why the others failed."""

    held_out: pd.DataFrame
    trials: dict[str, Trial]
    failed: dict[str, str]  # variant: its error


def run_variants(
    variants: list[Variant],
    tables: dict[str, pd.DataFrame],
    seeds: Sequence[int],
    share: float,
    paths: Paths,
    compute: Compute,
) -> Trials:
    """Run every variant with every seed, in this process or, as ``compute`` says, on the workers of a Ray cluster.

    In this process a variant that fails is not run with the seeds that follow. Raises UserError where training with
    everything fails.
    """
    paths = Paths(paths.root.resolve())
    run = partial(run_seed, tables=tables, share=share, paths=paths, home=socket.gethostname())
    by_seed: list[SeedTrials] = []
    if compute.engine == "ray":
        by_seed = run_each(partial(run, variants=variants), seeds, compute, "ablate: seeds")
    else:
        for seed in seeds:
            failed = {name for results in by_seed for name in results.failed}
            by_seed.append(run(seed, variants=[variant for variant in variants if variant.name not in failed]))
    return Trials(
        [results.held_out for results in by_seed],
        {v.name: [results.trials[v.name] for results in by_seed if v.name in results.trials] for v in variants},
        {name: why for results in by_seed for name, why in results.failed.items()},
    )


def run_seed(
    seed: int, *, variants: list[Variant], tables: dict[str, pd.DataFrame], share: float, paths: Paths, home: str
) -> SeedTrials:
    """Run the variants with one seed; ``home`` is the machine whose store of vectors is that of the project.

    Raises UserError where training with everything fails.
    """
    vectors = folder_of_machine(paths.scratch("embeddings"), home)
    rest, rows = ablation.hold_out(tables, share, seed)
    seed_folder = paths.scratch("ablate") / f"seed-{seed}"
    ablation.write_tables(rest, paths.data("ingest") / "labels.json", seed_folder / "ingest")
    results = SeedTrials(rows, {}, {})
    for variant in variants:
        content = variant.content if tables["validation"].empty else ablation.shift_seeds(variant.content, seed)
        here = apply_changes(content, {"compute.engine": "local"})  # a worker asks the cluster for no further ones
        try:
            results.trials[variant.name] = run_variant(variant.name, here, seed_folder, rows, paths, vectors)
        except (UserError, StageFailed) as error:
            if variant.name == EVERYTHING:
                raise UserError(f"ablate: expected params.yaml to train, found: {error}") from None
            results.failed[variant.name] = str(error)
    return results


def run_variant(
    name: str, content: dict[str, Any], seed_folder: Path, held_out: pd.DataFrame, paths: Paths, vectors: Path
) -> Trial:
    """Train with these params on all rows but the held-out ones, and predict the labels of those.

    ``vectors`` is the store of text vectors.
    """
    params = validate_params(content)
    cache = paths.scratch("ablate") / "stages"
    slug = hashlib.sha256(name.encode()).hexdigest()[:8]
    terms = paths.data("identity_terms")
    root = stage_cache.make_root(seed_folder / slug, seed_folder / "ingest", content, vectors, terms)
    offset_params = repr((params.mitigation, params.fairness)) if params.mitigation.offsets.budget is not None else ""
    questions = hashlib.sha256("".join([offset_params, *held_out["id"], *held_out["text"]]).encode()).hexdigest()[:16]
    costs: list[StageCost] = []
    for stage in stage_names(LAST, FIRST):
        print(f"{seed_folder.name}, {'with everything' if name == EVERYTHING else name}: {stage}", flush=True)
        folder, cost = stage_cache.run_cached(stage, root, cache)
        costs.append(cost)
    file = folder / f"answers-{questions}.json"
    if not file.exists():
        if not (folder / "model").exists():  # an earlier run removed it after it had labelled other rows
            stage_cache.remove_folder(folder)
            folder, costs[-1] = stage_cache.run_cached(LAST, root, cache)
        offsets = offset_selection.select_offsets(
            folder / "model", ablation.read_tables(Paths(root)), params.fairness, params.mitigation, Paths(root)
        )
        texts = held_out["text"].tolist()
        write_json(stage_cache.predict_labels(folder / "model", texts, params.encoder.batch_size, offsets), file)
        shutil.rmtree(folder / "model")  # as large as the encoder, once for each variant and seed
    seconds_per_text = embedding_speed(root, params, cache)
    return Trial(read_json(file), sum(cost.cold_seconds(seconds_per_text) for cost in costs))


def embedding_speed(root: Path, params: Params, cache: Path) -> float:
    """The seconds that the vector of one text takes, measured once and stored in ``cache``.

    A variant that reads a vector from the store is charged this time for it, as if it had computed it.
    """
    from pipeline.models import encoder as encoders

    folder = Paths(root).data("pretrain") / "encoder"
    key = hashlib.sha256(f"{encoders.weights_digest(folder)} {params.encoder}".encode()).hexdigest()[:16]
    file = cache / f"speed-{key}.json"
    if not file.exists():
        texts = [text for rows in ablation.read_tables(Paths(root)).values() for text in rows["text"]]
        write_json(seconds_per_text(texts, folder, params.encoder), file)
    return float(read_json(file))
