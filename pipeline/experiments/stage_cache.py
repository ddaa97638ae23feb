"""A cache of stage outputs for experiments: an output is kept by the hash of its inputs and shared by several roots.

DVC does this for the project. This cache is for project roots that are never committed, such as data/scratch/ablate.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core.digests import file_sha256
from pipeline.core.installed import CODE_FOLDER, template_folder
from pipeline.core.params import read_yaml, to_yaml
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments.stage_runner import StageCost, run_stage, share_embeddings, share_terms
from pipeline.mitigation.offsets import ClassOffsets

COST_FILE = "ran.json"  # written last: an output without it was never finished


def make_root(folder: Path, ingest: Path, content: dict[str, Any], vectors: Path, terms: Path | None = None) -> Path:
    """Make a project root with these params, and links to the tables in ``ingest`` and the store of ``vectors``.

    ``terms`` is the folder of identity terms, by default that of Gleaner.
    """
    data = Paths(folder).data("ingest")
    data.parent.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(to_yaml(content), encoding="utf-8")
    link_folder(data, ingest)
    share_embeddings(folder, vectors)
    share_terms(folder, terms)
    return folder


def run_cached(stage: str, root: Path, cache: Path) -> tuple[Path, StageCost]:
    """Link the output of a stage into the root; the stage runs only if ``cache`` has no output of the same inputs.

    Returns the folder of the output and the cost of the run that made it. Raises what `run_stage` raises.
    """
    output = Paths(root).data(stage)
    cached = cache / f"{stage}-{cache_key(stage, root)}"
    if not (cached / COST_FILE).exists():
        remove_folder(output)
        cost = run_stage(stage, root)
        shutil.rmtree(cached, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        os.replace(output, cached)
        write_json(asdict(cost), cached / COST_FILE)
    link_folder(output, cached)
    return cached, StageCost(**read_json(cached / COST_FILE))


def cache_key(stage: str, root: Path) -> str:
    """Hash of the code, params and inputs that dvc.yaml names for the stage."""
    stage_entry = read_yaml(template_folder() / "dvc.yaml")["stages"][stage]
    content = read_yaml(root / "params.yaml")
    total = hashlib.sha256(json.dumps([content[name] for name in stage_entry["params"]], sort_keys=True).encode())
    for path in stage_entry["deps"]:
        base = root if path.startswith("data/") else CODE_FOLDER
        total.update(f"{path} {digest_path(base / path)}".encode())
    return total.hexdigest()[:16]


def digest_path(path: Path) -> str:
    """SHA-256 of a file, or of all files in a folder but compiled code."""
    if not path.is_dir():
        real = path.resolve()
        return digest_file(real, real.stat().st_mtime_ns)
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    return hashlib.sha256("".join(f"{f.relative_to(path)} {digest_path(f)}" for f in files).encode()).hexdigest()


@cache
def digest_file(path: Path, changed_ns: int) -> str:
    """SHA-256 of a file, computed once for each time of change."""
    return file_sha256(path)


def link_folder(link: Path, target: Path) -> None:
    """Make ``link`` a link to the folder ``target``, in place of what is there."""
    remove_folder(link)
    link.symlink_to(target.resolve(), target_is_directory=True)


def remove_folder(path: Path) -> None:
    """Remove a folder, or a link to one; nothing happens where there is none."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def predict_labels(model: Path, texts: list[str], batch_size: int, offsets: ClassOffsets | None) -> list[str]:
    """The labels that the network in the folder ``model`` gives to the texts, with ``offsets`` added to its logits."""
    from pipeline.models import network

    net, tokenizer, about = network.load(model)
    if offsets is not None:
        net.add_offsets(offsets.values)
    predicted = network.predict_logits(net, tokenizer, texts, batch_size).argmax(axis=1)
    return [about["labels"][index] for index in predicted]
