"""A version in the shadow: where it disagrees is counted by class, and nothing of it is returned."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from pipeline.serving.handover import read_handover, write_handover
from pipeline.serving.service import Service
from tests.support.serving import WORDS, named, params_with, running, start_service

TIMEOUT = 20.0  # seconds


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
