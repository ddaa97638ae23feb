"""`gleaner serve` with replicas on a real cluster of two nodes: their number follows the load, and none is missed."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.core.params import read_yaml, to_yaml
from tests.support import service_process
from tests.support.promoting import ROOT, promote, register_scored, run_gleaner, set_limits, start_project
from tests.support.service_process import Served, serving, set_serve
from tests.support.two_nodes import two_nodes
from tests.support.waiting import wait_for

FAST = {"least": 1, "most": 2, "requests": 1, "up_seconds": 0.5, "down_seconds": 3}
CLIENTS = 6


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def root(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch, cluster: Any) -> Path:
    """A project with version 1 as champion, which is served on the cluster."""
    monkeypatch.setattr(service_process, "START_TIMEOUT", 240)
    root = start_project(tmp_path, store, monkeypatch)
    register_scored(root, 300)
    return root


def replicas() -> list[str]:
    """The names of the actors that are replicas."""
    import ray

    named = ray.util.list_named_actors(all_namespaces=True)
    return sorted(actor["name"] for actor in named if actor["name"].startswith("SERVE_REPLICA"))


def kill(replica: str) -> None:
    """End the process of a replica at once."""
    import ray

    ray.kill(ray.get_actor(replica, namespace="serve"))


def ask(served: Served, stop: threading.Event, versions: list[str], wrong: list[Any]) -> None:
    """Ask until told to stop; what is not an answer is kept in ``wrong``."""
    with httpx.Client(base_url=served.client.base_url, headers=served.client.headers, timeout=60) as client:
        while not stop.is_set():
            try:
                response = client.post("/v1/predict", json={"texts": [f"t{number}" for number in range(64)]})
            except httpx.HTTPError as error:
                wrong.append(repr(error))
                continue
            if response.status_code == 200 and len(response.json()["predictions"]) == 64:
                versions.append(response.json()["version"])
            else:
                wrong.append((response.status_code, response.text))


def test_without_an_inbox_no_replica_is_started(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(to_yaml(read_yaml(ROOT / "params.yaml")))
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    set_serve(tmp_path, engine="ray", port=0)
    set_serve(tmp_path, "compute", address="127.0.0.1:1")  # where no cluster is
    done = run_gleaner(tmp_path, "serve", "--no-auth")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: feedback.path: expected a folder, found no inbox/feedback"), done.stderr


@pytest.mark.slow
def test_replicas_follow_the_load_and_no_request_is_missed(root: Path, cluster: Any) -> None:
    params = set_limits(root)
    set_serve(root, engine="ray", replicas=FAST, limits={"requests_per_second": 100_000, "burst": 100_000})
    content = read_yaml(root / "params.yaml")
    content["compute"] |= {"address": cluster.address}
    (root / "params.yaml").write_text(to_yaml(content))
    with serving(root) as served:
        assert httpx.post(f"{served.client.base_url}/v1/predict", json={"texts": ["t0"]}).status_code == 401
        assert len(replicas()) == 1
        stop = threading.Event()
        versions: list[str] = []
        wrong: list[Any] = []
        clients = [threading.Thread(target=ask, args=[served, stop, versions, wrong]) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            both = wait_for(lambda: len(names := replicas()) == 2 and names, 180)
            kill(both[0])
            wait_for(lambda: (names := replicas()) != both and len(names) == 2, 180)
            register_scored(root, 390)
            promote(root, params)
            wait_for(lambda: versions[-CLIENTS:] == ["2"] * CLIENTS, 60)
        finally:
            stop.set()
            for client in clients:
                client.join()
        assert wrong == [] and set(versions) == {"1", "2"}
        wait_for(lambda: len(replicas()) == 1, 180)
        assert served.predict("t0")["version"] == "2"

        sent = served.client.post(
            "/v1/feedback", json={"text": "my parcel", "label": served.predict("t0")["predictions"][0]["label"]}
        )
        assert sent.json()["stored"], sent.text
        (stored,) = (root / "inbox" / "feedback").glob("service-*.jsonl")
        assert json.loads(stored.read_text())["text"] == "my parcel"
    assert replicas() == []
    assert "Traceback" not in served.log.read_text()
