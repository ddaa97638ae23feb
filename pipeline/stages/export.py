"""The model bundle: the fine-tuned network as safetensors and ONNX, calibrated, and checked against torch.

    python -m pipeline.stages.export

Reads data/finetune/model, the tables of data/ingest and what data/pseudo_label says of held-out labels (metrics.json,
held_out.parquet, and head.safetensors to know its teacher by); writes data/export/bundle/ and metrics.json.
"""

import logging
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pipeline.core import table
from pipeline.core.errors import UserError
from pipeline.core.params import Export, Fairness, Mitigation
from pipeline.core.stage import Metrics, Paths, main, read_json, replace, write_json
from pipeline.metrics.calibration import fit_temperature, match_confidence
from pipeline.mitigation.offset_selection import look, tell
from pipeline.mitigation.offsets import Offsets
from pipeline.models import classifier
from pipeline.models.classifier import Classifier

if TYPE_CHECKING:
    from pipeline.models.network import Network

TABLES = ("train", "validation", "unlabelled")
SAMPLE = 500  # texts on which int8 is compared with float32 when there is no validation split
BATCHES = (1, 2, 7, 32)  # rows of the batches on which ONNX is compared with torch
MIN_CALIBRATION_ROWS = 50  # from fewer, one odd row can move the temperature by half


def run(params: Export, fairness: Fairness, mitigation: Mitigation, paths: Paths) -> Metrics:
    """Build the bundle beside its place; it gets its name only after every check has passed."""
    model = paths.data("finetune") / "model"
    tables = {name: table.read(paths.data("ingest") / f"{name}.parquet") for name in TABLES}
    sources = [*sorted(path for path in model.rglob("*") if path.is_file())]
    sources += [paths.data("ingest") / f"{name}.parquet" for name in TABLES]
    lineage = {path.relative_to(paths.root).as_posix(): classifier.sha256(path) for path in sources}
    metrics: Metrics = {}
    judged = read_json(paths.data("pseudo_label") / "metrics.json")
    bundle = paths.data("export") / "bundle"
    moved = look(model, tables, fairness, mitigation, paths)
    replace(bundle, lambda part: metrics.update(build(params, model, tables, judged, lineage, moved, part)))
    return metrics | {"offsets": tell(moved)}


def build(
    params: Export,
    model: Path,
    tables: dict[str, pd.DataFrame],
    judged: Metrics,
    lineage: dict[str, str],
    moved: Offsets | None,
    bundle: Path,
) -> Metrics:
    """Fill the folder ``bundle`` from the fine-tuned ``model`` and seal it; return what was measured on the way."""
    from safetensors.torch import save_file

    from pipeline.models import network

    shutil.copytree(model / "encoder", bundle / "encoder")
    for weights in model.glob("*.safetensors"):  # of the head, and of adapters where there are any
        shutil.copy(weights, bundle)
    net, tokenizer, about = network.load(model)
    if moved is not None:  # in the bias of the head, so that whatever serves the bundle has them
        net.shift(moved.values)
        save_file(net.heads(), bundle / "head.safetensors")
    tokenizer.backend_tokenizer.save(str(bundle / "tokenizer.json"))
    to_onnx(net, bundle / "model.onnx")
    about |= {"temperature": 1.0, "pad_id": tokenizer.pad_token_id or 0, "serve": params.serve, "lineage": lineage}
    write_json(about, bundle / "classifier.json")

    exact = classifier.read(bundle, "float32")
    metrics = check_parity(net, tokenizer, exact, sample(tables), params.tolerance)
    served = exact
    if params.int8:
        quantise(bundle / "model.onnx", bundle / "model.int8.onnx")
        small = classifier.read(bundle, "int8")
        metrics |= compare(exact, small, tables)
        served = small if params.serve == "int8" else exact
    calibration = calibrate(served, tables, judged)
    write_json(about | calibration, bundle / "classifier.json")
    classifier.seal(bundle)
    megabytes = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) / 1e6
    return metrics | calibration | {"serve": params.serve, "megabytes": round(megabytes, 1)}


def to_onnx(net: "Network", path: Path) -> None:
    """Write the network as float32 ONNX with free batch size and length, and nothing of this machine in it.

    torch's older exporter (dynamo=False) gives a silently wrong model for BERT under transformers 5.
    """
    import onnx
    import torch

    axes = {0: "batch", 1: "length"}
    ids = torch.ones((2, 8), dtype=torch.int64)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(action="ignore"):  # about the names of shared axes and torch's own deprecations
        program = torch.onnx.export(
            net,
            kwargs={"input_ids": ids, "attention_mask": torch.ones_like(ids)},
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": axes, "attention_mask": axes},
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto  # type: ignore[union-attr]  # None only where a file name was given
    # Each node quotes the source lines and absolute paths that it was traced from: the same weights would give another
    # digest in another checkout.
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.functions):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def quantise(source: Path, target: Path) -> None:
    """Dynamic int8: weights are stored with a scale for each channel, ranges of activations are taken by batch.

    A scale for each channel costs nothing and halves the predictions that change (banking77: 1.6% against 3.3%).
    Weights of seven bits (``reduce_range``) cannot overflow on CPUs without VNNI, where eight bits silently would:
    what was measured here then holds wherever the bundle is served.
    """
    from onnxruntime.quantization import quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # the quantiser advises on the root logger
    quantize_dynamic(source, target, per_channel=True, reduce_range=True)


def sample(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Up to 500 real texts that are not from the test split; ids are hashes, so the first by id are a random draw."""
    rows = pd.concat([tables[name][["id", "text"]] for name in TABLES])
    return rows.sort_values("id")["text"].head(SAMPLE).tolist()


def check_parity(net: "Network", tokenizer: Any, exact: Classifier, texts: list[str], tolerance: float) -> Metrics:
    """Compare logits of ONNX, tokenizer included, with torch's on padded batches of real texts.

    Each batch runs from the shortest text to the longest, so that padding matters, and one text fills the maximum
    length. Raises UserError when any logit differs by more than ``tolerance``.
    """
    import torch

    ordered = [*sorted(texts, key=len), " ".join(texts)[: 20 * exact.max_length]]
    worst = 0.0
    for rows in BATCHES:
        picks = np.linspace(0, len(ordered) - 1, rows).astype(int)
        batch = [ordered[i] for i in picks]
        cut: dict[str, Any] = {"truncation": True, "max_length": exact.max_length}
        inputs = tokenizer(batch, padding=True, padding_side="right", return_tensors="pt", **cut)
        with torch.inference_mode():
            expected = net(inputs["input_ids"], inputs["attention_mask"])["logits"].numpy()
        found = exact.batch_logits(exact.tokens(batch))
        worst = max(worst, float(np.abs(expected - found).max()))
    if not worst <= tolerance:  # a NaN is no agreement either
        raise UserError(
            f"export.tolerance: expected ONNX logits within {tolerance:g} of torch's, found {worst:.2g}; "
            "choose an encoder of another architecture, or raise the tolerance if such a difference is harmless"
        )
    return {"onnx_max_difference": worst, "onnx_batches": len(BATCHES)}


def compare(exact: Classifier, small: Classifier, tables: dict[str, pd.DataFrame]) -> Metrics:
    """What int8 costs: accuracy on validation beside float32's; without validation rows, agreement on other texts."""
    validation = tables["validation"]
    if validation.empty:
        texts = sample(tables)
        same = exact.logits(texts).argmax(axis=1) == small.logits(texts).argmax(axis=1)
        return {"int8_agreement": float(same.mean()), "int8_agreement_rows": len(texts)}
    truth, texts = exact.indices(validation["label"]), validation["text"].tolist()
    before, after = (float((one.logits(texts).argmax(axis=1) == truth).mean()) for one in (exact, small))
    return {
        "float32_validation_accuracy": before,
        "int8_validation_accuracy": after,
        "int8_accuracy_drop": before - after,
    }


def calibrate(served: Classifier, tables: dict[str, pd.DataFrame], judged: Metrics) -> dict[str, Any]:
    """Temperature for the served precision, and where it comes from.

    Fitted on validation rows; without enough of them, set so that the mean confidence on the pool is the precision
    that ``judged``, the metrics of pseudo_label, found on held-out gold rows; 1.0 where there is too little for both.
    """
    validation, pool = tables["validation"], tables["unlabelled"]
    if len(validation) >= MIN_CALIBRATION_ROWS:
        truth = served.indices(validation["label"])
        fitted = fit_temperature(served.logits(validation["text"].tolist()), truth)
        return {"temperature": fitted, "temperature_from": f"{len(validation)} validation rows, {served.precision}"}
    held_out = judged["held_out_rows"] if "precision" in judged else 0
    if held_out < MIN_CALIBRATION_ROWS or pool.empty:
        why = f"{len(validation)} validation rows, {held_out} gold rows held out, {len(pool)} pool rows"
        return {"temperature": 1.0, "temperature_from": f"none: {why}"}
    texts = pool["text"].sample(min(SAMPLE, len(pool)), random_state=0).tolist()
    matched = match_confidence(served.logits(texts), judged["precision"])
    return {"temperature": matched, "temperature_from": f"precision on {held_out} held-out gold rows"}


if __name__ == "__main__":
    main(run, "fairness", "mitigation")
