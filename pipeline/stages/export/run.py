"""Export: the model that ships becomes a bundle, as safetensors and ONNX, checked against torch and calibrated.

    python -m pipeline.stages.export

Reads data/finetune/model, data/pretrain/encoder, the tables of data/ingest, and metrics.json, held_out.parquet and
head.safetensors of data/pseudo_label; writes data/export/bundle/, new_classes.parquet and metrics.json.
"""

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from pipeline.core import table
from pipeline.core.digests import file_sha256
from pipeline.core.params import Abstain, Encoder, Evaluate, Export, Fairness, Mitigation, Swaps
from pipeline.core.stage import Metrics, Paths, read_json, waiting, write_atomically, write_json
from pipeline.metrics.calibration import fit_temperature, match_confidence
from pipeline.mitigation.offset_selection import offset_metrics, select_offsets
from pipeline.mitigation.offsets import ClassOffsets
from pipeline.models import classifier
from pipeline.models.abstention import save_abstention
from pipeline.models.bundle_settings import FORMAT
from pipeline.models.classifier import Classifier
from pipeline.models.encoder_graph import EncoderGraph
from pipeline.models.heads import Heads, add_heads, add_offsets, read_heads
from pipeline.models.model_graph import find_model_graph
from pipeline.models.onnx_check import check_model_against_torch
from pipeline.models.runtime import choose_for_answers
from pipeline.models.vector_runtime import record
from pipeline.stages.export.abstention import choose_abstention
from pipeline.stages.export.candidates import Source
from pipeline.stages.export.selection import Shipped, choose_shipped

NEW_CLASSES = "new_classes.parquet"
LABELLED, SPLITS = ("train", "validation"), ("train", "validation", "unlabelled")
SAMPLE_SIZE = 500  # texts that stand for the rest: enough for shares to a few per cent, predicted in seconds
MIN_CALIBRATION_ROWS = 50  # from fewer, one odd row can move the temperature by half


def run(
    params: Export,
    encoder: Encoder,
    evaluate: Evaluate,
    swaps: Swaps,
    fairness: Fairness,
    mitigation: Mitigation,
    abstain: Abstain,
    paths: Paths,
) -> Metrics:
    """Choose the model that ships, and build its bundle, which gets its name only after every check has passed."""
    tables = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in LABELLED}
    tables["unlabelled"] = table.read_columns(paths.data("ingest") / "unlabelled.parquet", ["id", "text"])
    labels: list[str] = read_json(paths.data("finetune") / "model" / "classifier.json")["labels"]
    train = tables["train"]
    gold = train[train["origin"].eq("gold") & train["label"].notna()].reset_index(drop=True)
    source = Source(labels, gold, tables["validation"], encoder, evaluate, paths)
    mitigated = bool(mitigation.reweighing or mitigation.penalty or swaps.variants)
    metrics: Metrics = {}
    paths.scratch("export").mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=paths.scratch("export")) as made:
        with waiting("export: candidates on held-out rows"):
            shipped = choose_shipped(source, params.candidates, mitigated, Path(made))
        with waiting("export: class offsets"):
            offsets = select_offsets(shipped.folder, tables, fairness, mitigation, paths, shipped.held_out)

        def build(folder: Path) -> None:
            metrics.update(build_bundle(params, abstain, encoder, shipped, tables, offsets, folder, paths))

        write_atomically(paths.data("export") / "bundle", build)
    return metrics | {"shipped": shipped.metrics, "offsets": offset_metrics(offsets)}


def build_bundle(
    params: Export,
    abstain: Abstain,
    encoder: Encoder,
    shipped: Shipped,
    tables: dict[str, pd.DataFrame],
    offsets: ClassOffsets | None,
    bundle: Path,
    paths: Paths,
) -> Metrics:
    """Fill the folder ``bundle`` with the model that ships, seal it, and return its metrics."""

    graph = find_model_graph(shipped.folder, paths)
    heads = copy_model(shipped.folder, graph, offsets, bundle)
    choice = choose_for_answers(params.runtime, params.serve)
    about = read_json(shipped.folder / "classifier.json") | {
        "format": FORMAT,
        "shipped": shipped.name,
        "temperature": 1.0,
        "pad_id": graph.about["pad_id"],
        "serve": params.serve,
        "compute": record(encoder, choice),
        "lineage": digests_of_inputs(shipped.folder, paths),
    }
    write_json(about, bundle / "classifier.json")

    float32 = classifier.load_unverified(bundle, "float32")
    with waiting("export: check of ONNX against torch"):
        metrics = check_model_against_torch(bundle / "model.onnx", graph, heads, params.tolerance)
    if params.int8:
        with waiting("export: int8 file"):
            quantise_to_int8(bundle / "model.onnx", bundle / "model.int8.onnx")
        int8 = classifier.load_unverified(bundle, "int8")
        with waiting("export: int8 against float32"):
            metrics |= compare(float32, int8, tables)
    served = classifier.load_unverified(bundle, choice.precision, runtime=choice.runtime, with_vectors=True)
    if choice.precision == "bfloat16":
        metrics |= compare(float32, served, tables)
    with waiting("export: temperature"):
        calibration = choose_temperature(served, tables, shipped.accuracy, paths)
    with waiting("export: abstention"):
        chosen = choose_abstention(abstain, served, shipped.name, tables, paths)
    write_atomically(paths.data("export") / NEW_CLASSES, lambda part: chosen.new_classes.to_parquet(part, index=False))
    if chosen.abstention is not None:
        save_abstention(chosen.abstention, bundle)
        about["abstention"] = chosen.abstention.settings.model_dump()
    write_json(about | calibration, bundle / "classifier.json")
    classifier.seal(bundle)
    megabytes = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) / 1e6
    metrics |= {"serve": params.serve, "compute": about["compute"], "megabytes": round(megabytes, 1)}
    return metrics | calibration | {"abstention": chosen.metrics}


def digests_of_inputs(model: Path, paths: Paths) -> dict[str, str]:
    """SHA-256 by path of the tables of ingest, and of the files of ``model`` where an earlier stage wrote them."""
    tables = [paths.data("ingest") / f"{name}.parquet" for name in SPLITS]
    written = model.is_relative_to(paths.data("finetune"))
    files = sorted(path for path in model.rglob("*") if path.is_file()) if written else []
    return {path.relative_to(paths.root).as_posix(): file_sha256(path) for path in [*files, *tables]}


def copy_model(model: Path, graph: EncoderGraph, offsets: ClassOffsets | None, bundle: Path) -> Heads:
    """Copy weights and tokenizer into the bundle, and add its ONNX model; returns the heads.

    Offsets are added to the bias of the head, so that they are part of whatever serves the bundle.
    """
    from safetensors.numpy import save_file

    shutil.copytree(model / "encoder", bundle / "encoder")
    for weights in model.glob("*.safetensors"):  # of the head, and of adapters where there are any
        shutil.copy(weights, bundle)
    heads = read_heads(model)
    if offsets is not None:
        heads = add_offsets(heads, offsets.values)
        save_file(heads, bundle / "head.safetensors")
    shutil.copy(graph.tokenizer, bundle)
    add_heads(graph.model, heads, bundle / "model.onnx")
    return heads


def quantise_to_int8(source: Path, target: Path) -> None:
    """Write dynamic int8: weights are stored with a scale for each channel, activations are scaled batch by batch.

    A scale for each channel costs nothing and halves the predictions that change (banking77: 1.6% against 3.3%).
    Weights of seven bits (``reduce_range``) cannot overflow on CPUs without VNNI, where eight bits silently would. The
    metrics of this stage therefore hold wherever the bundle is served.
    """
    from onnxruntime.quantization import quantize_dynamic

    root_logger = logging.getLogger()
    level = root_logger.level
    root_logger.setLevel(logging.ERROR)  # the quantiser advises on the root logger
    try:
        quantize_dynamic(source, target, per_channel=True, reduce_range=True)
    finally:
        root_logger.setLevel(level)


def sample_texts(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Up to 500 real texts, none of the test split; ids are hashes, so that the first by id are a random draw."""
    rows = pd.concat([tables[name][["id", "text"]] for name in SPLITS])
    return rows.sort_values("id")["text"].head(SAMPLE_SIZE).tolist()


def compare(float32: Classifier, other: Classifier, tables: dict[str, pd.DataFrame]) -> Metrics:
    """The cost of int8 or bfloat16, as metrics: the accuracy of both models on validation rows, 0 to 1.

    Without validation rows it is the share of other texts for which both predict the same label.
    """
    validation, name = tables["validation"], other.precision
    if validation.empty:
        texts = sample_texts(tables)
        same = float32.logits(texts).argmax(axis=1) == other.logits(texts).argmax(axis=1)
        return {f"{name}_agreement": float(same.mean()), f"{name}_agreement_rows": len(texts)}
    truth, texts = float32.label_indices(validation["label"]), validation["text"].tolist()
    before, after = (float((model.logits(texts).argmax(axis=1) == truth).mean()) for model in (float32, other))
    return {
        "float32_validation_accuracy": before,
        f"{name}_validation_accuracy": after,
        f"{name}_accuracy_drop": before - after,
    }


def choose_temperature(
    served: Classifier, tables: dict[str, pd.DataFrame], accuracy: float | None, paths: Paths
) -> dict[str, Any]:
    """The temperature for the served precision, and ``temperature_from``, which says how it was chosen.

    It is fitted on validation rows (Guo et al. 2017). Where these are too few, it is the one at which the mean
    confidence on the pool is the ``accuracy``, 0 to 1, of this model on held-out gold rows; where it was measured on
    none, the teacher's takes its place. Where there are too few rows for both, it is 1.0.
    """
    validation, pool = tables["validation"], tables["unlabelled"]
    if len(validation) >= MIN_CALIBRATION_ROWS:
        truth = served.label_indices(validation["label"])
        fitted = fit_temperature(served.logits(validation["text"].tolist()), truth)
        return {"temperature": fitted, "temperature_from": f"{len(validation)} validation rows, {served.precision}"}
    teacher = read_json(paths.data("pseudo_label") / "metrics.json")
    held_out = teacher["held_out_rows"] if "precision" in teacher else 0
    if held_out < MIN_CALIBRATION_ROWS or pool.empty:
        counts = f"{len(validation)} validation rows, {held_out} gold rows held out, {len(pool)} pool rows"
        return {"temperature": 1.0, "temperature_from": f"none: {counts}"}
    texts = pool["text"].sample(min(SAMPLE_SIZE, len(pool)), random_state=0).tolist()
    matched = match_confidence(served.logits(texts), teacher["precision"] if accuracy is None else accuracy)
    return {"temperature": matched, "temperature_from": f"precision on {held_out} held-out gold rows"}
