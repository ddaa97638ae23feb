"""What the service answers: labels, confidences, ids and versions, to whom, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pipeline.serving.handover import Handover, RegistryState, write_handover
from pipeline.serving.keys import create_key, revoke_key
from pipeline.serving.service import Service
from tests.support.serving import WORDS, named, params_with, running, start_service


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service with keys."""
    limits = {"texts": 4, "text_characters": 50, "body_bytes": 2000, "explained_texts": 1}
    return start_service(tmp_path, params_with(limits=limits))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    """A client that may do everything."""
    with running(service, "admin") as client:
        yield client


def test_each_text_gets_label_confidence_and_an_id_of_its_own(client: TestClient) -> None:
    answer = client.post("/v1/predict", json={"texts": ["my parcel", "money please", "my parcel"]}).json()
    assert (answer["version"], answer["model"]) == ("3", "gleaner-demo")
    assert [row["label"] for row in answer["predictions"]] == ["delivery", "refund", "delivery"]
    assert answer["predictions"][0]["confidence"] == pytest.approx(1 / (1 + 2.718281828**-9), abs=1e-6)
    assert len({row["id"] for row in answer["predictions"]}) == 3
    assert set(answer["predictions"][0]) == {"id", "label", "confidence", "abstained", "reason"}
    assert (answer["predictions"][0]["abstained"], answer["predictions"][0]["reason"]) == (False, None)


def test_top_k_lists_the_most_probable_labels(client: TestClient) -> None:
    (row,) = client.post("/v1/predict", json={"texts": ["money"], "top_k": 9}).json()["predictions"]
    assert [one["label"] for one in row["top"]] == ["refund", "delivery"]
    assert sum(one["confidence"] for one in row["top"]) == pytest.approx(1)
    assert row["top"][0]["confidence"] == row["confidence"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"texts": ["a"]', 400, "not_json"),
        (b"", 400, "not_json"),
        (b"\xff\xfe", 400, "not_json"),
        (b'{"texts": ["\\ud800"]}', 400, "not_json"),
        (b"[]", 422, "invalid"),
        (b"{}", 422, "invalid"),
        (b'{"texts": []}', 422, "invalid"),
        (b'{"texts": "secretword"}', 422, "invalid"),
        (b'{"texts": [" \\n"]}', 422, "invalid"),
        (b'{"texts": [1]}', 422, "invalid"),
        (b'{"texts": ["a"], "secretword": 1}', 422, "invalid"),
        (b'{"texts": ["a"], "top_k": 0}', 422, "invalid"),
        (b'{"texts": ["a", "a", "a", "a", "a"]}', 413, "too_many_texts"),
        (b'{"texts": ["' + b"secretword " * 9 + b'"]}', 413, "text_too_long"),
        (b'{"texts": ["' + b"a" * 3000 + b'"]}', 413, "too_large"),
    ],
)
def test_a_bad_request_is_told_without_quoting_it(client: TestClient, body: bytes, status: int, code: str) -> None:
    response = client.post("/v1/predict", content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert "secretword" not in response.text and "Traceback" not in response.text


def test_a_body_without_a_length_is_cut_at_the_limit(client: TestClient) -> None:
    response = client.post("/v1/predict", content=iter([b"a" * 1500, b"b" * 1500]))
    assert response.status_code == 413


def test_keys_decide_who_may_ask_what(service: Service) -> None:
    with running(service, "predict") as client:
        ask = {"texts": ["parcel"]}
        assert client.post("/v1/predict", json=ask).status_code == 200
        assert client.get("/v1/labels").json() == {"version": "3", "labels": ["delivery", "refund"]}
        assert client.post("/v1/explain", json=ask).status_code == 403
        assert client.post("/v1/feedback", json={"text": "a", "label": "refund"}).status_code == 403
        for header in ("", "Bearer", "Bearer x", "Basic x", "Bearer gleaner_000000000000_" + "a" * 43):
            response = client.post("/v1/predict", json=ask, headers={"Authorization": header})
            assert response.status_code == 401 and response.headers["WWW-Authenticate"] == "Bearer"
        late = create_key(service.settings.root, "late", ["predict"])
        headers = {"Authorization": f"Bearer {late}"}
        assert client.post("/v1/predict", json=ask, headers=headers).status_code == 200
        revoke_key(service.settings.root, "late")
        assert client.post("/v1/predict", json=ask, headers=headers).status_code == 401
        (service.settings.root / ".gleaner" / "keys.json").write_text("damaged")
        assert client.post("/v1/predict", json=ask).status_code == 401


def test_a_key_that_asks_too_often_is_told_when_to_come_back(tmp_path: Path) -> None:
    service = start_service(tmp_path, params_with(limits={"requests_per_second": 0.01, "burst": 2}))
    with running(service, "predict") as client:
        statuses = [client.post("/v1/predict", json={"texts": ["parcel"]}).status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        response = client.get("/v1/labels")
        assert response.status_code == 429 and 90 <= int(response.headers["Retry-After"]) <= 101
        assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_an_explanation_names_the_words_that_made_the_label(client: TestClient) -> None:
    answer = client.post("/v1/explain", json={"texts": ["my money please"]}).json()
    (row,) = answer["explanations"]
    assert (answer["method"], answer["version"], row["label"]) == ("lime", "3", "refund")
    shares = {word["word"]: word["share"] for word in row["words"]}
    assert max(shares, key=lambda word: shares[word]) == "money" and shares["please"] < 0
    assert [(word["start"], word["end"]) for word in row["words"]] == [(0, 2), (3, 8), (9, 15)]
    assert client.post("/v1/explain", json={"texts": ["a", "b"]}).status_code == 413


def test_the_model_is_described(client: TestClient) -> None:
    about = client.get("/v1/model").json()
    assert (about["model"], about["version"], about["labels"], about["max_tokens"]) == ("gleaner-demo", "3", 2, 16)
    assert len(about["digest"]) == 64


def test_a_version_that_is_handed_over_answers_and_a_changed_one_never_does(service: Service) -> None:
    root = service.settings.root
    with running(service, "predict") as client:

        def version() -> str:
            answer = client.post("/v1/predict", json={"texts": ["parcel"]}).json()
            assert (answer["version"], answer["predictions"][0]["label"]) in {("3", "delivery"), ("4", "refund")}
            return str(answer["version"])

        assert version() == "3"
        four = named(root / "four", {"parcel": [0.0, 5.0]}, "4")
        write_handover(service.settings.handover, Handover(four))
        for _ in range(1000):
            if version() == "4":
                break
        assert version() == "4"
        changed = named(root / "five", WORDS, "5")
        (root / "five" / "model.onnx").write_bytes((root / "four" / "model.onnx").read_bytes())
        away = RegistryState(False, "gone", "2026-11-30T00:00:00+00:00")
        write_handover(service.settings.handover, Handover(changed, registry=away))
        state = client.get("/readyz").json()
        while not state["problem"]:
            state = client.get("/readyz").json()
        assert version() == "4" and state["version"] == "4" and state["status"] == "ready"
        assert state["registry"] == {"reachable": False, "asked": away.asked, "fault": "gone"}
        assert 'gleaner_version_changes_total{outcome="refused"}' in client.get("/metrics").text


def test_paths_and_methods_that_are_none_get_json(client: TestClient) -> None:
    assert client.get("/nothing").json()["error"]["code"] == "no_such_path"
    assert client.get("/v1/predict").status_code == 405


def test_a_fault_in_the_service_is_500_without_a_traceback(
    service: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("my parcel is secretword")

    with running(service, "predict") as client:
        monkeypatch.setattr(service.batcher, "require_room", fail)
        response = client.post("/v1/predict", json={"texts": ["my parcel is secretword"]})
    assert response.status_code == 500 and response.json()["error"]["code"] == "fault"
    logged = capsys.readouterr()
    assert "RuntimeError at test_answers.py:" in logged.err
    assert "secretword" not in logged.err + logged.out + response.text


def test_the_description_has_every_path_and_loads_nothing(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/predict", "/v1/explain", "/v1/feedback", "/v1/labels", "/v1/model", "/invocations"} <= set(paths)
    assert "http://" not in json.dumps(paths) and "https://" not in json.dumps(paths)
