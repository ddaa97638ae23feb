"""How fast vectors, answers and back-translation are, beside what others take for the same: ratios of one run.

    python -m benchmarks.speed [--texts N] [--rounds R] [--only vectors|predict|marian] [--datasets NAME ...]

The encoder's exported graph is kept in data/scratch, as the stages keep it. The runners of a part take turns, and each
counts with its fastest round: other work on the machine slows all of them. Loading does not count. The texts are those
of ag_news and banking77. A line for each part is added to benchmarks/results/speed.jsonl.
"""

import argparse
import json
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.log import ROOT, commit
from benchmarks.tasks import load_task
from pipeline.core.params import BackTranslate, Encoder, load_params
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models import model_graph
from pipeline.models.embeddings import batches_by_length, fewest_rows, pad
from pipeline.models.onnx_model import open_model
from pipeline.models.open_encoder import open_encoder
from pipeline.models.openvino_package import cpu_precisions
from pipeline.models.runtime import Choice

RESULTS = ROOT / "benchmarks" / "results" / "speed.jsonl"
MARIAN_TEXTS = 32  # a round at most: one batch, and each takes nlpaug seconds
CLASSES = 77  # of the head, whose cost is nothing beside the encoder's
Runners = dict[str, Callable[[], Any]]


def main() -> None:
    """Run the parts, print their texts a second and ratios, and add these to the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=384, help="texts a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--datasets", nargs="+", default=["ag_news", "banking77"])
    asked = parser.parse_args()
    encoder = load_params(ROOT / "params.yaml").encoder
    for part in [asked.only] if asked.only else PARTS:
        for name in asked.datasets if part != "marian" else asked.datasets[:1]:
            count = min(asked.texts, MARIAN_TEXTS) if part == "marian" else asked.texts
            texts = load_task(name).test.texts[:count]
            with TemporaryDirectory() as scratch:
                baseline, runners = PARTS[part](texts, encoder, Path(scratch))
                report(f"{part}, {name}", baseline, fastest(runners, asked.rounds), len(texts))


def fastest(runners: Runners, rounds: int) -> dict[str, float]:
    """The seconds of each runner's fastest round; a first round, which loads and compiles, does not count."""
    seconds: dict[str, float] = {}
    for number in range(rounds + 1):
        for name, run in runners.items():
            started = time.monotonic()
            run()
            if number:
                seconds[name] = min(seconds.get(name, np.inf), time.monotonic() - started)
    return seconds


def report(title: str, baseline: str, seconds: dict[str, float], texts: int) -> None:
    """Print texts a second and how many times the baseline each runner is, and add the ratios to the results."""
    ratios = {name: round(seconds[baseline] / value, 2) for name, value in seconds.items()}
    print(f"{title}: {texts} texts")
    for name, value in seconds.items():
        print(f"  {name:40} {texts / value:8.0f} texts a second {ratios[name]:6.1f} x")
    line = {"part": title, "baseline": baseline, "ratios": ratios, "texts": texts, "commit": commit()}
    with RESULTS.open("a", encoding="utf-8") as out:
        out.write(json.dumps(line) + "\n")


def vector_runners(texts: list[str], encoder: Encoder, scratch: Path) -> tuple[str, Runners]:
    """Text vectors by torch, as before there were runtimes, and by OpenVINO in each precision of the CPU."""
    folder, keyed = encoders.locate(encoder), [str(i).encode() for i in range(len(texts))]
    choices = [Choice("torch", "float32"), *(Choice("openvino", precision) for precision in cpu_precisions())]

    def runner(choice: Choice) -> Callable[[], Any]:
        model, reader = open_encoder(folder, encoder, choice, Paths(ROOT))

        def run() -> list[Any]:
            batches = batches_by_length(dict(zip(keyed, reader.tokenise(texts), strict=True)), encoder)
            fewest = fewest_rows(choice, encoder)
            return list(model.run(pad(rows, length, fewest, reader.pad_id) for length, rows in batches))

        return run

    return "torch float32", {str(choice): runner(choice) for choice in choices}


def predict_runners(texts: list[str], encoder: Encoder, scratch: Path) -> tuple[str, Runners]:
    """Answers by Transformers' pipeline in batches of 32, and by a bundle's model in each runtime and precision."""
    from dataclasses import replace

    from safetensors.numpy import save_file

    from pipeline.core.stage import write_json
    from pipeline.models.heads import add_heads, read_heads
    from pipeline.models.onnx_file import LOGITS

    model, rng = scratch / "model", np.random.default_rng(0)
    model.mkdir()
    encoders.copy_files(encoders.locate(encoder), model / "encoder")
    width = json.loads((model / "encoder" / "config.json").read_text())["hidden_size"]
    heads = {"weight": rng.normal(size=(CLASSES, width)), "bias": np.zeros(CLASSES)}
    save_file({name: value.astype(np.float32) for name, value in heads.items()}, model / "head.safetensors")
    labels = [str(number) for number in range(CLASSES)]
    about = {"labels": labels, "pooling": encoder.pooling, "max_length": encoder.max_length}
    write_json(about, model / "classifier.json")
    served = model_graph.load(model, Paths(ROOT))
    add_heads(model_graph.find_model_graph(model, Paths(ROOT)).model, read_heads(model), scratch / "model.onnx")
    choices = [Choice("onnxruntime", "float32"), *(Choice("openvino", precision) for precision in cpu_precisions())]
    runners: Runners = {"Transformers' pipeline": transformers_pipeline(model / "encoder", encoder, texts)}
    for choice in choices:
        opened = replace(served, runtime=open_model(scratch / "model.onnx", choice, LOGITS))
        runners[str(choice)] = lambda opened=opened: opened.predict(texts)  # type: ignore[misc]
    return "Transformers' pipeline", runners


def transformers_pipeline(folder: Path, encoder: Encoder, texts: list[str]) -> Callable[[], Any]:
    """Transformers' text classification by the encoder in ``folder`` with a random head."""
    from transformers import AutoModelForSequenceClassification, pipeline

    model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=CLASSES, trust_remote_code=False)
    classify = pipeline("text-classification", model=model, tokenizer=encoders.load_tokenizer(folder), device=-1)
    return lambda: classify(texts, batch_size=32, truncation=True, max_length=encoder.max_length)


def marian_runners(texts: list[str], encoder: Encoder, scratch: Path) -> tuple[str, Runners]:
    """Back-translation there and back by nlpaug and by Gleaner, on the same random pair of Marian models.

    Random weights never end a sentence. nlpaug has one bound for all texts, Gleaner ``max_ratio`` times the longest
    text of a batch; nlpaug's is that of the longest text. nlpaug searches with 4 beams, as the published models ask,
    Gleaner decodes greedily; the second runner is nlpaug made to decode greedily, too.
    """
    from benchmarks.random_marian import nlpaug_translator, write_pair
    from pipeline.stages.back_translate.marian import Marian
    from pipeline.stages.back_translate.run import in_batches

    folders = write_pair(encoders.locate(encoder), scratch)
    params = BackTranslate(
        engine="marian",
        apertium=["eng-spa", "spa-eng"],
        marian=[str(folder) for folder in folders],
        marian_revisions=[],
        batch_size=32,
        max_ratio=1.2,
        weight=1.0,
    )
    engine = Marian(params)
    words = engine.models[0][1](texts)["input_ids"]
    longest = int(params.max_ratio * max(map(len, words))) + 1
    return "nlpaug", {
        "nlpaug": nlpaug_translator(folders, texts, longest, beams=4),
        "nlpaug, greedy": nlpaug_translator(folders, texts, longest, beams=1),
        "gleaner": lambda: [engine.round_trip(batch) for batch in in_batches(texts, params.batch_size)],
    }


PARTS: dict[str, Callable[[list[str], Encoder, Path], tuple[str, Runners]]] = {
    "vectors": vector_runners,
    "predict": predict_runners,
}
if find_spec("nlpaug"):
    PARTS["marian"] = marian_runners

if __name__ == "__main__":
    main()
