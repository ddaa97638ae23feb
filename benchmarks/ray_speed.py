"""How much faster two nodes of a Ray cluster embed than one, on this machine, each with one core and one thread.

    python -m benchmarks.ray_speed [--texts N] [--rounds R]

Both clusters are real: a head of one core, and the same with a second node. The texts are those of ag_news, the encoder
is that of params.yaml. The start of the workers counts. Rounds take turns, and the fastest of each counts. The load of
the machine is printed, because two nodes need two free cores.
"""

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.tasks import ROOT, load_task
from pipeline.core.params import Encoder, load_params, to_yaml
from pipeline.core.stage import Paths
from pipeline.models import encoder as encoders
from pipeline.models.embeddings import compute_vectors
from pipeline.models.vector_runtime import choose_for_vectors
from tests.support.two_nodes import two_nodes

AIM = 1.7  # times as fast


def main() -> None:
    """Print texts a second by number of nodes, their ratio, and the load before and after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=4096, help="texts a round")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    params = load_params(ROOT / "params.yaml")
    texts = load_task("ag_news").test.texts[: asked.texts]
    print(f"load before: {os.getloadavg()[0]:.1f}")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with TemporaryDirectory() as folder, two_nodes() as cluster:
        content = params.model_dump(mode="json")
        content["compute"] |= {"engine": "ray", "address": "auto", "cpus_per_worker": 1}
        (Path(folder) / "params.yaml").write_text(to_yaml(content))
        for _ in range(asked.rounds):
            seconds[2].append(embed(texts, params.encoder, Paths(Path(folder))))
            cluster.remove_node(next(iter(cluster.worker_nodes)))
            seconds[1].append(embed(texts, params.encoder, Paths(Path(folder))))
            cluster.add_node(num_cpus=1)
    fastest = {nodes: len(texts) / min(took) for nodes, took in seconds.items()}
    print(f"load after: {os.getloadavg()[0]:.1f}")
    print(f"one node {fastest[1]:.1f}, two nodes {fastest[2]:.1f} texts a second: {fastest[2] / fastest[1]:.2f} times")
    print(f"aim: {AIM} times")


def embed(texts: list[str], encoder: Encoder, paths: Paths) -> float:
    """The seconds that the workers of the cluster take for the vectors of the texts, their start included."""
    by_key = {str(number).encode(): text for number, text in enumerate(texts)}
    choice = choose_for_vectors(encoder, pool=False)
    started = time.monotonic()
    computed = sum(map(len, compute_vectors(by_key, encoders.locate(encoder), encoder, choice, paths)))
    if computed != len(texts):
        raise SystemExit(f"expected {len(texts)} vectors, found {computed}")
    return time.monotonic() - started


if __name__ == "__main__":
    main()
