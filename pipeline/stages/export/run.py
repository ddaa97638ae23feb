"""Export: the model that ships becomes a bundle, as safetensors and ONNX, checked against torch and calibrated.

    python -m pipeline.stages.export

Reads data/finetune/model, data/pretrain/encoder, the tables of data/ingest, and metrics.json, held_out.parquet and
head.safetensors of data/pseudo_label; writes data/export/bundle/ and metrics.json.
"""

import logging
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.core import table
from pipeline.core.digests import file_sha256
from pipeline.core.params import Encoder, Evaluate, Export, Fairness, Mitigation, Swaps
from pipeline.core.stage import Metrics, Paths, read_json, waiting, write_atomically, write_json
from pipeline.metrics.calibration import fit_temperature, match_confidence
from pipeline.mitigation.offset_selection import offset_metrics, select_offsets
from pipeline.mitigation.offsets import ClassOffsets
from pipeline.models import classifier
from pipeline.models.bundle_settings import FORMAT
from pipeline.models.classifier import Classifier
from pipeline.models.onnx_check import check_onnx_against_torch
from pipeline.models.onnx_export import export_onnx
from pipeline.models.onnx_file import LOGITS
from pipeline.stages.export.candidates import Source
from pipeline.stages.export.selection import Shipped, choose_shipped

if TYPE_CHECKING:
    from pipeline.models.network import Network

SPLITS = ("train", "validation", "unlabelled")
SAMPLE_SIZE = 500  # texts that stand for the rest: enough for shares to a few per cent, predicted in seconds
MIN_CALIBRATION_ROWS = 50  # from fewer, one odd row can move the temperature by half


def run(
    params: Export,
    encoder: Encoder,
    evaluate: Evaluate,
    swaps: Swaps,
    fairness: Fairness,
    mitigation: Mitigation,
    paths: Paths,
) -> Metrics:
    """Choose the model that ships, and build its bundle, which gets its name only after every check has passed."""
    tables = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in SPLITS}
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
            metrics.update(build_bundle(params, shipped, tables, offsets, folder, paths))

        write_atomically(paths.data("export") / "bundle", build)
    return metrics | {"shipped": shipped.metrics, "offsets": offset_metrics(offsets)}


def build_bundle(
    params: Export,
    shipped: Shipped,
    tables: dict[str, pd.DataFrame],
    offsets: ClassOffsets | None,
    bundle: Path,
    paths: Paths,
) -> Metrics:
    """Fill the folder ``bundle`` with the model that ships, seal it, and return its metrics."""
    net, tokenizer, about = copy_model(shipped.folder, offsets, bundle)
    with waiting("export: ONNX file"):
        export_onnx(net, bundle / "model.onnx", LOGITS)
    lineage = digests_of_inputs(shipped.folder, paths)
    about |= {
        "format": FORMAT,
        "shipped": shipped.name,
        "temperature": 1.0,
        "pad_id": tokenizer.pad_token_id or 0,
        "serve": params.serve,
        "lineage": lineage,
    }
    write_json(about, bundle / "classifier.json")

    float32 = classifier.load_unverified(bundle, "float32")
    with waiting("export: check of ONNX against torch"):
        metrics = check_onnx_against_torch(net, tokenizer, float32, sample_texts(tables), params.tolerance)
    served = float32
    if params.int8:
        with waiting("export: int8 file"):
            quantise_to_int8(bundle / "model.onnx", bundle / "model.int8.onnx")
        int8 = classifier.load_unverified(bundle, "int8")
        with waiting("export: int8 against float32"):
            metrics |= compare_int8(float32, int8, tables)
        served = int8 if params.serve == "int8" else float32
    with waiting("export: temperature"):
        calibration = choose_temperature(served, tables, shipped.accuracy, paths)
    write_json(about | calibration, bundle / "classifier.json")
    classifier.seal(bundle)
    megabytes = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) / 1e6
    return metrics | calibration | {"serve": params.serve, "megabytes": round(megabytes, 1)}


def digests_of_inputs(model: Path, paths: Paths) -> dict[str, str]:
    """SHA-256 by path of the tables of ingest, and of the files of ``model`` where an earlier stage wrote them."""
    tables = [paths.data("ingest") / f"{name}.parquet" for name in SPLITS]
    written = model.is_relative_to(paths.data("finetune"))
    files = sorted(path for path in model.rglob("*") if path.is_file()) if written else []
    return {path.relative_to(paths.root).as_posix(): file_sha256(path) for path in [*files, *tables]}


def copy_model(model: Path, offsets: ClassOffsets | None, bundle: Path) -> tuple["Network", Any, dict[str, Any]]:
    """Copy weights and tokenizer into the bundle; return the network, its tokenizer, and its classifier.json.

    Offsets are added to the bias of the head, so that they are part of whatever serves the bundle.
    """
    from safetensors.torch import save_file

    from pipeline.models import network

    shutil.copytree(model / "encoder", bundle / "encoder")
    for weights in model.glob("*.safetensors"):  # of the head, and of adapters where there are any
        shutil.copy(weights, bundle)
    net, tokenizer, about = network.load(model)
    if offsets is not None:
        net.add_offsets(offsets.values)
        save_file(net.heads(), bundle / "head.safetensors")
    tokenizer.backend_tokenizer.save(str(bundle / "tokenizer.json"))
    return net, tokenizer, about


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


def compare_int8(float32: Classifier, int8: Classifier, tables: dict[str, pd.DataFrame]) -> Metrics:
    """The cost of int8, as metrics: the accuracy of both models on validation rows, 0 to 1.

    Without validation rows it is the share of other texts for which both predict the same label.
    """
    validation = tables["validation"]
    if validation.empty:
        texts = sample_texts(tables)
        same = float32.logits(texts).argmax(axis=1) == int8.logits(texts).argmax(axis=1)
        return {"int8_agreement": float(same.mean()), "int8_agreement_rows": len(texts)}
    truth, texts = float32.label_indices(validation["label"]), validation["text"].tolist()
    before, after = (float((model.logits(texts).argmax(axis=1) == truth).mean()) for model in (float32, int8))
    return {
        "float32_validation_accuracy": before,
        "int8_validation_accuracy": after,
        "int8_accuracy_drop": before - after,
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
