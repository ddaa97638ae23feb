"""Ray: vectors and seeds on a real cluster of two nodes are those of one process, even when a node is lost."""

import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.compute.ray_cluster import (
    call,
    folder_of_machine,
    installed_libraries,
    plain_errors,
    run_each,
)
from pipeline.core.errors import UserError
from pipeline.core.params import Compute, to_yaml
from pipeline.core.stage import Paths
from pipeline.experiments import ablation
from pipeline.experiments.ablation import EVERYTHING
from pipeline.experiments.ablation_trials import run_variants
from pipeline.models import embeddings
from pipeline.models.ray_model import RayModel
from pipeline.models.runtime import Batch, Choice
from tests.support.ablation_project import QUICK, make_tables, write_project
from tests.support.two_nodes import two_nodes

RAY = {"engine": "ray", "address": "auto", "cpus_per_worker": 1, "pretrain_workers": 1, "finetune_workers": 1}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


def project(root: Path, params: Any, changes: dict[str, Any]) -> Paths:
    """A folder with a params.yaml of these changes."""
    root.mkdir(exist_ok=True)
    (root / "params.yaml").write_text(to_yaml(params(changes).model_dump(mode="json")))
    return Paths(root)


def vectors(batches: Iterable[list[tuple[bytes, np.ndarray]]]) -> dict[bytes, np.ndarray]:
    """The vectors of all batches by key."""
    return {key: vector for batch in batches for key, vector in batch}


def node_of(item: int) -> tuple[int, str]:
    import ray

    time.sleep(0.5)
    return item, ray.get_runtime_context().get_node_id()


def refuse(item: int) -> None:
    raise UserError(f"item {item}: expected nothing, found something")


@pytest.mark.slow
def test_items_run_on_both_nodes_and_come_back_in_order(cluster):
    results = run_each(node_of, range(6), Compute(**RAY), "nodes")
    assert [item for item, _ in results] == list(range(6))
    assert len({node for _, node in results}) == 2


@pytest.mark.slow
def test_a_user_error_of_a_worker_is_one_line(cluster):
    with pytest.raises(UserError, match=r"^item 1: expected nothing, found something$"):
        run_each(refuse, [1], Compute(**RAY), "refusals")


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["openvino", "torch"])
def test_vectors_have_the_bits_of_one_process(cluster, tmp_path, params, tiny_encoder, pairs, runtime):
    texts = [text for text, _ in pairs]
    here = {"encoder": {"runtime": runtime, "batch_size": 4}}
    local = project(tmp_path / "local", params, here)
    far = project(tmp_path / "ray", params, here | {"compute": RAY})
    encoder = params(here).encoder
    expected = embeddings.embed(texts, tiny_encoder, encoder, local)
    assert np.array_equal(embeddings.embed(texts, tiny_encoder, encoder, far), expected)


@pytest.mark.slow
def test_a_lost_node_changes_nothing(cluster, tmp_path, params, tiny_encoder, pairs):
    here = {"encoder": {"runtime": "openvino", "batch_size": 1}}
    texts = {str(number).encode(): f"{text} {number}" for number, (text, _) in enumerate(pairs * 4)}
    encoder, choice = params(here).encoder, Choice("openvino", "float32")
    local = project(tmp_path / "local", params, here)
    far = project(tmp_path / "ray", params, here | {"compute": RAY})
    expected = vectors(embeddings.compute_vectors(texts, tiny_encoder, encoder, choice, local))
    batches = embeddings.compute_vectors(texts, tiny_encoder, encoder, choice, far)
    found = dict(next(batches))
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    try:
        found |= vectors(batches)
    finally:
        cluster.add_node(num_cpus=1)
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[key], expected[key]) for key in expected)


class NoSurvivor:
    """A model that kills the process that computes with it, as one does that needs more memory than there is."""

    def __init__(self, folder: Path, threads: int) -> None:
        pass

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        os.kill(os.getpid(), signal.SIGKILL)
        yield from ()


@pytest.mark.slow
def test_a_block_that_no_worker_survives_is_one_line(cluster, tmp_path):
    model = RayModel(tmp_path, [], NoSurvivor, Choice("openvino", "float32"), Compute(**RAY))
    batch = np.ones((1, 3), dtype=np.int64), np.ones((1, 3), dtype=np.int64)
    with pytest.raises(UserError, match="compute: expected the cluster to do the work, found .* after 3 retries"):
        list(model.run([batch]))


@pytest.mark.slow
def test_an_ablation_has_the_answers_of_one_process(cluster, tmp_path, params, rows, pairs):
    tables = make_tables(rows, pairs)
    answers = {}
    for engine in ("local", "ray"):
        root = tmp_path / engine
        root.mkdir()
        content = params(QUICK).model_dump(mode="json")
        write_project(root, content, tables)
        everything = ablation.list_variants(content)[:1]
        trials = run_variants(everything, tables, (1,), 0.25, Paths(root), Compute(**RAY | {"engine": engine}))
        answers[engine] = [trial.answers for trial in trials.by_variant[EVERYTHING]]
    assert answers["ray"] == answers["local"] and answers["ray"][0]


@pytest.mark.slow
def test_more_cpus_than_a_node_has_are_refused(cluster):
    with pytest.raises(UserError, match="compute.cpus_per_worker: expected at most 1, .* found 64"):
        run_each(node_of, [1], Compute(**RAY | {"cpus_per_worker": 64}), "nodes")


def test_only_the_owner_reads_what_a_worker_writes(tmp_path):
    before = os.umask(0o022)
    try:
        call(Path.touch, tmp_path / "table", installed_libraries())
    finally:
        os.umask(before)
    assert (tmp_path / "table").stat().st_mode & 0o777 == 0o600


def test_a_worker_with_other_libraries_is_refused():
    expected = installed_libraries() | {"torch": "0.1"}
    with pytest.raises(UserError, match=r"compute: expected workers with torch 0.1, found torch 2.*; install the same"):
        call(str, 1, expected)


def test_workers_that_die_again_and_again_end_the_work_in_one_line():
    from ray.exceptions import OutOfMemoryError

    said = "compute: expected the cluster to do the work, found OutOfMemoryError after 3 retries"
    with pytest.raises(UserError, match=said), plain_errors():
        raise OutOfMemoryError("a worker")


def test_another_machine_has_a_folder_of_its_own(tmp_path):
    here = socket.gethostname()
    assert folder_of_machine(tmp_path, here) == tmp_path
    assert folder_of_machine(tmp_path, "elsewhere") == tmp_path / here
