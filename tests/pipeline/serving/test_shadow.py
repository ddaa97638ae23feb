"""A version in the shadow: where it disagrees is counted by class, and nothing of it is returned."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from pipeline.serving.handover import Handover, NamedBundle, read_handover, write_handover
from pipeline.serving.service import Service
from tasks.registry.manifest import manifest_digest
from tests.support.promoting import MODEL
from tests.support.serving import WORDS, named, params_with, running, start_service
from tests.support.word_bundle import FOREIGN, build

TIMEOUT = 20.0  # seconds
NAMES = ("abstaining", "answering")  # of bundles


def shadowed(root: Path, number: str, words: dict[str, list[float]]) -> Service:
    """A service with a version of this number in the shadow, which answers everything, too."""
    service = start_service(root, params_with(shadow={"version": number, "share": 1.0}))
    handover = read_handover(service.settings.handover)
    write_handover(service.settings.handover, replace(handover, shadow=named(root / "shadow", words, number)))
    return service


def count(name: str, **labels: str) -> float:
    """The value of a counter."""
    return REGISTRY.get_sample_value(f"gleaner_{name}_total", labels) or 0.0


def wait_until(condition: Any) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_disagreements_are_counted_by_the_label_that_was_returned(tmp_path: Path) -> None:
    service = shadowed(tmp_path, "41", WORDS | {"money": [9.0, 0.0]})
    with running(service, "predict") as client:
        wait_until(lambda: client.get("/readyz").json()["shadow"] == "41")
        answer = client.post("/v1/predict", json={"texts": ["money", "money please", "parcel"]}).json()
        assert [row["label"] for row in answer["predictions"]] == ["refund", "refund", "delivery"]
        assert answer["version"] == "3"
        assert "41" not in [value for row in answer["predictions"] for value in row.values()]
        versions = {"version": "3", "shadow": "41"}
        wait_until(lambda: count("shadow_disagreements", label="refund", **versions) == 2)
        assert count("shadow_texts", **versions) == 3
        assert count("shadow_disagreements", label="delivery", **versions) == 0
        shown = client.get("/metrics").text
    assert 'gleaner_shadow_disagreements_total{label="refund",shadow="41",version="3"} 2.0' in shown


def test_a_text_without_a_label_is_no_text_of_a_class_called_none(tmp_path: Path) -> None:
    service = start_service(tmp_path, params_with(shadow={"version": "44", "share": 1.0}))
    bundles = [build(tmp_path / name, WORDS, ["None", "refund"], abstains=name == "abstaining") for name in NAMES]
    served, shadow = (NamedBundle(str(folder), manifest_digest(folder), MODEL, "43") for folder in bundles)
    write_handover(service.settings.handover, Handover(served, replace(shadow, number="44"), versions=("43", "44")))
    with running(service, "predict") as client:
        wait_until(lambda: client.get("/readyz").json()["shadow"] == "44")
        answer = client.post("/v1/predict", json={"texts": ["parcel", FOREIGN]}).json()
        assert [row["label"] for row in answer["predictions"]] == ["None", None]
        assert (count("answers", version="43", label="None"), count("answers", version="43", label="")) == (1, 1)
        wait_until(lambda: count("shadow_disagreements", label="", version="43", shadow="44") == 1)


def test_a_shadow_that_cannot_be_loaded_changes_no_answer_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = shadowed(tmp_path, "42", WORDS | {"money": [9.0, 0.0]})
    (tmp_path / "shadow" / "model.onnx").write_bytes(b"another model")
    with running(service, "predict") as client:
        for _ in range(8):
            assert client.post("/v1/predict", json={"texts": ["money"]}).json()["predictions"][0]["label"] == "refund"
            time.sleep(0.1)
        assert client.get("/readyz").json()["shadow"] is None
    assert count("shadow_texts", version="3", shadow="42") == 0
    assert capsys.readouterr().err.count("serve: no shadow") == 1
