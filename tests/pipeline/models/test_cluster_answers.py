"""Answers by the workers of a real cluster of two nodes: they are those of one process, even when a node is lost."""

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.attribution import lime
from pipeline.attribution.model import load as load_explained
from pipeline.attribution.result import Settings
from pipeline.commands.predict import Request, predict_file
from pipeline.commands.served_bundle import ServedBundle
from pipeline.core.params import read_yaml, to_yaml
from pipeline.models import classifier, cluster_answers
from pipeline.models.runtime import Batch
from pipeline.sources.text_format import Choice
from tests.support.two_nodes import two_nodes
from tests.support.word_bundle import build

WORDS = 12
TEXTS = [f"w{i} w{j} w{k} w{m}" for i in range(WORDS) for j in range(WORDS) for k in range(WORDS) for m in range(2)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle whose logits are sums of fractions, so that another order of the same sum has other bits."""
    table = np.random.default_rng(0).normal(size=(WORDS, 3)).astype(np.float32)
    words = {f"w{number}": row.tolist() for number, row in enumerate(table)}
    return build(tmp_path / "bundle", words, ["a", "b", "c"])


@pytest.fixture
def root(tmp_path: Path, params: Any) -> Path:
    """A project whose params ask for the cluster."""
    content = params({"compute": {"engine": "ray"}}).model_dump(mode="json")
    (tmp_path / "params.yaml").write_text(to_yaml(content))
    return tmp_path


@pytest.mark.slow
def test_answers_have_the_bits_of_one_process_even_if_a_node_is_lost(cluster: Any, bundle: Path, root: Path) -> None:
    near, far = classifier.load(bundle), cluster_answers.load(bundle, root)
    tokens = near.tokenise(TEXTS)
    batches = [near.pad([tokens[row] for row in rows]) for rows in near.batches(tokens, 32)]
    assert len(batches) > cluster_answers.FEW
    expected, found = list(near.runtime.run(batches)), far.runtime.run(batches)
    outputs = [next(found)]
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    try:
        outputs += found
    finally:
        cluster.add_node(num_cpus=1)
    assert len(outputs) == len(expected) and all(map(np.array_equal, outputs, expected))


@pytest.mark.slow
def test_predict_writes_the_same_bytes_and_lime_gives_the_same_words(cluster: Any, bundle: Path, root: Path) -> None:
    source = root / "texts.csv"
    source.write_text("text\n" + "\n".join(TEXTS) + "\n")
    written = []
    for project in (None, root):
        out = io.StringIO()
        predict_file(Request(str(source), ServedBundle(bundle), Choice(), root=project), out)
        written.append(out.getvalue())
    assert written[0] == written[1] and len(written[0].splitlines()) == len(TEXTS) + 1

    settings = Settings(2, "mask", 128, 0)
    directions = np.tile(np.array([1, 0, 0], dtype=np.float32), (40, 1))
    near, far = (load_explained(bundle, False, project) for project in (None, root))
    texts = [" ".join(f"w{(number * 7 + step) % WORDS}" for step in range(11)) for number in range(40)]
    by_engine = [lime.attribute(model, texts, directions, settings) for model in (near, far)]
    assert all(map(np.array_equal, *([attribution.words for attribution in found] for found in by_engine)))


def test_a_chunk_for_the_cluster_has_the_batches_of_the_chunks_of_one_process(bundle: Path) -> None:
    model = classifier.load(bundle)
    batches: list[Any] = []

    class Recorder:
        name, precision = model.runtime.name, model.runtime.precision

        def run(self, given: Iterable[Batch]) -> Iterator[np.ndarray]:
            batches.extend(given := list(given))
            return model.runtime.run(given)

    here = replace(model, runtime=Recorder())
    texts = [f"{text} w{row}" * (row % 5 + 1) for row, text in enumerate(TEXTS[:250] * 2)]
    expected = [probability for start in range(0, 500, 100) for probability in here.predict(texts[start : start + 100])]
    of_chunks, batches[:] = list(batches), []
    assert np.array_equal(replace(here, texts_at_once=100).predict(texts), expected)
    assert all(map(np.array_equal, (ids for ids, _ in batches), (ids for ids, _ in of_chunks)))
    assert len(batches) == len(of_chunks) > len(range(0, 500, 32))


def test_few_answers_ask_no_cluster(bundle: Path, root: Path) -> None:
    content = read_yaml(root / "params.yaml")
    content["compute"] |= {"address": "127.0.0.1:1"}  # where none is
    (root / "params.yaml").write_text(to_yaml(content))
    far = cluster_answers.load(bundle, root)
    assert far.answers(TEXTS[:100]) == classifier.load(bundle).answers(TEXTS[:100])
