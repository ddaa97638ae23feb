"""Encoders compared: the probe's accuracy with 8 labels a class on each data set, texts a second, size on disk.

    python -m benchmarks.encoders all-mpnet-base-v2 [--datasets emotion ...] [--k 8] [--seeds 5] [--texts 2000]

The encoder of params.yaml comes first, then the packaged ones that are named (`make encoder-mpnet` installs one). The
probe, a logistic regression over the vectors of the labelled rows, says what an encoder knows of a task before anything
else is done. Of long test files the first ``--texts`` rows count, in an order drawn with seed 0. Vectors are float32.
"""

import argparse
import random
from datetime import date
from pathlib import Path
from statistics import mean, stdev

import numpy as np

from benchmarks.log import ROOT, add_row, commit
from benchmarks.peers import probe
from benchmarks.tasks import FILES, Task, draw_labelled, load_task, take_rows
from pipeline.core.params import Encoder, load_params
from pipeline.core.stage import Paths
from pipeline.experiments.stage_runner import seconds_per_text
from pipeline.models import encoder as encoders
from pipeline.models.embeddings import embed

HEADING = "## Encoders: `python -m benchmarks.encoders`"
TABLE = """
Accuracy of the probe, mean ± standard deviation over draws of the labels. Texts a second are measured on some of the
texts before the rest; they depend on the machine and on what else it does.

| date, commit | data, k | encoder | MB | accuracy | draws | test texts | texts a second |
|---|---|---|---|---|---|---|---|
"""
ENGLISH = tuple(name for name in FILES if name != "eprstmt")  # the packaged encoders read English
LEAST_SECONDS = 1e-6  # a text; where loading takes longer than all texts, they may seem to take none


def main() -> None:
    """Measure, print each row, and add it to LOG.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="packaged encoders beside that of params.yaml")
    parser.add_argument("--datasets", nargs="+", choices=ENGLISH, default=ENGLISH)
    parser.add_argument("--k", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--texts", type=int, default=2000)
    asked = parser.parse_args()
    first = load_params(ROOT / "params.yaml").encoder
    others = [first.model_copy(update={"source": "package", "name": name, "sha256": None}) for name in asked.names]
    for name in asked.datasets:
        task = load_task(name)
        for encoder in (first, *others):
            row = measure(task, encoder, asked.k, asked.seeds, asked.texts, Paths(ROOT))
            print(row, flush=True)
            add_row(row, HEADING, TABLE)


def measure(task: Task, encoder: Encoder, k: int, seeds: int, most: int, paths: Paths) -> str:
    """The row of one encoder on one data set; ``paths`` say where its vectors are kept."""
    folder = encoders.locate(encoder)
    order = random.Random(0).sample(range(len(task.test.texts)), min(most, len(task.test.texts)))
    test = take_rows(task.test, order)
    draws = [take_rows(task.train, draw_labelled(task.train, k, seed)) for seed in range(seeds)]
    texts = [*test.texts, *(text for gold in draws for text in gold.texts)]
    speed = 1 / max(seconds_per_text(texts, folder, encoder), LEAST_SECONDS)

    def embed_texts(texts: list[str]) -> np.ndarray:
        return embed(texts, folder, encoder, paths)

    embed_texts(texts)  # all in one go; each draw finds its own in the store
    accuracies = []
    for gold in draws:
        predict = probe(gold.texts, np.array(gold.labels, object), [], embed_texts, {})
        accuracies.append(float((predict(test.texts) == np.array(test.labels, object)).mean()))
    spread = f"{mean(accuracies):.3f} ± {stdev(accuracies):.3f}" if seeds > 1 else f"{accuracies[0]:.3f}"
    megabytes = sum(file.stat().st_size for file in Path(folder).glob("*.safetensors")) / 1e6
    cells = [f"{date.today()}, {commit()}", f"{task.name}, {k}", encoder.name, f"{megabytes:.0f}", spread]
    return f"| {' | '.join([*cells, str(seeds), str(len(test.texts)), f'{speed:.0f}'])} |"


if __name__ == "__main__":
    main()
