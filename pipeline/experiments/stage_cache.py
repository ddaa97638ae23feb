"""Stages run in a project root of their own, each output kept by the hash of what it depends on and shared by roots.

DVC does this for the project; here it is done beside it, for roots that nobody commits (data/scratch/ablate).
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.core.params import read_yaml, to_yaml
from pipeline.core.stage import Paths, read_json, write_json
from pipeline.experiments.stage_runner import PROJECT, StageCost, run_stage, share_embeddings, share_terms
from pipeline.mitigation.offsets import Offsets

RAN = "ran.json"  # written last: an output without it was never finished


def root_for(folder: Path, ingest: Path, content: dict[str, Any], vectors: Path) -> Path:
    """A project root over the tables in ``ingest``, with these params and the project's vectors."""
    data = Paths(folder).data("ingest")
    data.parent.mkdir(parents=True, exist_ok=True)
    (folder / "params.yaml").write_text(to_yaml(content), encoding="utf-8")
    link(data, ingest)
    share_embeddings(folder, vectors)
    share_terms(folder)
    return folder


def bring(stage: str, root: Path, kept: Path) -> tuple[Path, StageCost]:
    """The output of a stage for this root, run if ``kept`` has none for the same inputs; linked into the root.

    Raises what `run_stage` raises.
    """
    output = Paths(root).data(stage)
    place = kept / f"{stage}-{key(stage, root)}"
    if not (place / RAN).exists():
        clear(output)
        ran = run_stage(stage, root)
        shutil.rmtree(place, ignore_errors=True)
        kept.mkdir(parents=True, exist_ok=True)
        os.replace(output, place)
        write_json(asdict(ran), place / RAN)
    link(output, place)
    return place, StageCost(**read_json(place / RAN))


def key(stage: str, root: Path) -> str:
    """Hash of the code, params and inputs that dvc.yaml names for the stage."""
    about = read_yaml(PROJECT / "dvc.yaml")["stages"][stage]
    content = read_yaml(root / "params.yaml")
    total = hashlib.sha256(json.dumps([content[name] for name in about["params"]], sort_keys=True).encode())
    for path in about["deps"]:
        base = root if path.startswith("data/") else PROJECT
        total.update(f"{path} {digest(base / path)}".encode())
    return total.hexdigest()[:16]


def digest(path: Path) -> str:
    """SHA-256 of a file, or of everything in a folder that is no trace of running it."""
    if not path.is_dir():
        real = path.resolve()
        return digest_of(real, real.stat().st_mtime_ns)
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]
    return hashlib.sha256("".join(f"{f.relative_to(path)} {digest(f)}" for f in files).encode()).hexdigest()


@cache
def digest_of(path: Path, changed: int) -> str:
    """SHA-256 of a file as it was at the time ``changed``."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def link(place: Path, target: Path) -> None:
    """Make ``place`` a link to the folder ``target``, whatever was there."""
    clear(place)
    place.symlink_to(target.resolve(), target_is_directory=True)


def clear(place: Path) -> None:
    """Remove a link, or a folder."""
    if place.is_symlink():
        place.unlink()
    elif place.exists():
        shutil.rmtree(place)


def answers(model: Path, texts: list[str], batch_size: int, moved: Offsets | None) -> list[str]:
    """The labels that the network in a folder gives to the texts, its logits ``moved``."""
    from pipeline.models import network

    net, tokenizer, about = network.load(model)
    if moved is not None:
        net.shift(moved.values)
    return [about["labels"][place] for place in network.logits(net, tokenizer, texts, batch_size).argmax(axis=1)]
