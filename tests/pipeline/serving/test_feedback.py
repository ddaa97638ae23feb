"""Corrections: durable before they are confirmed, PII masked, and in the format that a night takes in."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from pipeline.core.errors import UserError
from pipeline.labelling.incoming import read_corrections
from pipeline.serving.keys import create_key
from pipeline.serving.service import Service
from tests.support.serving import params_with, running, start_service
from tests.support.spacy_pipeline import save_pipeline


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service that remembers two texts."""
    return start_service(tmp_path, params_with(kept_texts=2))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    """A client that may ask and correct."""
    with running(service, "predict", "feedback") as client:
        yield client


def stored(service: Service) -> list[dict[str, Any]]:
    """The corrections in the inbox, in no order."""
    assert service.inbox
    return [json.loads(path.read_text()) for path in service.inbox.iterdir()]


def predict(client: TestClient, text: str) -> str:
    """The id of the prediction of a text."""
    return str(client.post("/v1/predict", json={"texts": [text]}).json()["predictions"][0]["id"])


def test_a_correction_by_text_is_read_by_the_night(service: Service, client: TestClient) -> None:
    body = {"text": "my parcel\nis late", "label": "refund", "version": "2"}
    assert client.post("/v1/feedback", json=body).json() == {"stored": True, "label": "refund", "version": "2"}
    assert service.inbox
    (path,) = service.inbox.iterdir()
    assert path.stat().st_mode & 0o077 == 0 or path.name.startswith("service-")
    rows = read_corrections(path, service.params.ingest, service.params.feedback.columns)
    assert rows[["raw", "raw_label", "version"]].values.tolist() == [["my parcel\nis late", "refund", "2"]]


def test_a_correction_by_id_has_the_text_masked_and_the_version(service: Service, client: TestClient) -> None:
    prediction = predict(client, "my parcel, ada@example.org")
    assert client.post("/v1/feedback", json={"id": prediction, "label": "refund"}).status_code == 200
    assert stored(service) == [{"text": "my parcel, [EMAIL]", "label": "refund", "version": "3"}]


def test_a_correction_has_persons_and_numbers_masked_where_presidio_is_asked(tmp_path: Path) -> None:
    presidio = {
        "entities": ["PERSON", "US_SSN"],
        "model": str(save_pipeline(tmp_path / "spacy", {"Ada Byron": "PERSON"})),
    }
    service = start_service(tmp_path, params_with("ingest", mask_pii=True, presidio=presidio))
    with running(service, "predict", "feedback") as client:
        prediction = predict(client, "parcel of Ada Byron, ada@example.org")
        assert client.post("/v1/feedback", json={"id": prediction, "label": "refund"}).status_code == 200
        assert client.post("/v1/feedback", json={"text": "219-09-9998", "label": "refund"}).status_code == 200
    assert sorted(row["text"] for row in stored(service)) == ["[US_SSN]", "parcel of [PERSON], [EMAIL]"]


def test_a_service_that_cannot_mask_does_not_start(tmp_path: Path) -> None:
    params = params_with("ingest", mask_pii=True, presidio={"entities": ["PERSON"], "model": "en_no_such_model"})
    with pytest.raises(UserError, match=r"ingest\.presidio\.model: expected an installed spaCy pipeline"):
        start_service(tmp_path, params)


def test_a_forgotten_id_needs_the_text(service: Service, client: TestClient) -> None:
    first = predict(client, "parcel one")
    predict(client, "parcel two"), predict(client, "parcel three")
    response = client.post("/v1/feedback", json={"id": first, "label": "refund"})
    assert response.status_code == 410 and "send its text" in response.json()["error"]["message"]
    both = {"id": first, "text": "parcel one", "label": "refund", "version": "3"}
    assert client.post("/v1/feedback", json=both).status_code == 200
    assert stored(service) == [{"text": "parcel one", "label": "refund", "version": "3"}]


def test_a_text_that_is_not_that_of_the_prediction_is_refused(service: Service, client: TestClient) -> None:
    body = {"id": predict(client, "parcel one"), "text": "parcel two", "label": "refund"}
    response = client.post("/v1/feedback", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (422, "other_text") and stored(service) == []
    assert client.post("/v1/feedback", json=body | {"text": "parcel one"}).status_code == 200


def test_another_key_cannot_name_my_prediction(service: Service, client: TestClient) -> None:
    prediction = predict(client, "parcel one")
    other = create_key(service.settings.root, "other", ["feedback"])
    headers = {"Authorization": f"Bearer {other}"}
    response = client.post("/v1/feedback", json={"id": prediction, "label": "refund"}, headers=headers)
    assert response.status_code == 410 and stored(service) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"label": "refund"}, 422, "invalid"),
        ({"text": "a", "label": "refnud"}, 422, "unknown_label"),
        ({"text": " ", "label": "refund"}, 422, "invalid"),
        ({"text": "a", "label": "refund", "version": "9"}, 422, "unknown_version"),
        ({"text": "a", "label": "refund", "version": "champion"}, 422, "invalid"),
        ({"text": "a" * 20_001, "label": "refund"}, 413, "text_too_long"),
    ],
)
def test_what_a_night_would_set_aside_is_refused(
    service: Service, client: TestClient, body: dict[str, str], status: int, code: str
) -> None:
    response = client.post("/v1/feedback", json=body)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert stored(service) == []


def test_a_disk_that_does_not_take_it_is_told(
    service: Service, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.serving.corrections.os.fsync", full)
    response = client.post("/v1/feedback", json={"text": "a", "label": "refund"})
    assert response.status_code == 503 and stored(service) == []
