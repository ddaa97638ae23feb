"""The API against its own description: whatever fits or misses it gets an answer that it describes, and never a 500."""

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

from tests.support.serving import params_with, running, start_service

EXAMPLES = 25  # of each route, of those that fit the description and of those that do not


@pytest.mark.slow
def test_no_request_gets_an_answer_that_the_description_does_not_have(tmp_path: Path) -> None:
    limits = {"requests_per_second": 1e6, "burst": 1_000_000, "texts": 8, "explained_texts": 1}
    service = start_service(tmp_path, params_with(limits=limits))
    with running(service, "admin") as client:
        schema = schemathesis.openapi.from_dict(client.get("/openapi.json").json())
        statuses: dict[str, set[int]] = {}
        for found in schema.get_all_operations():
            operation = found.ok()  # type: ignore[union-attr]
            modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
            for mode in modes if operation.body else modes[:1]:
                statuses.setdefault(operation.path, set()).update(fuzz(client, operation, mode))
    assert {200, 422} <= statuses["/v1/predict"] | statuses["/v1/explain"] | statuses["/v1/feedback"]
    assert statuses["/v1/labels"] == statuses["/healthz"] == statuses["/metrics"] == {200}


def fuzz(client: TestClient, operation: Any, mode: schemathesis.GenerationMode) -> set[int]:
    """The statuses that the requests of one kind to one route got."""
    described = {int(status) for status in operation.definition.raw["responses"]}
    statuses = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs()
        headers = dict(client.headers) | dict(case.headers or {})
        response = client.request(
            case.method, case.formatted_path, headers=headers, json=sent.get("json"), content=sent.get("data")
        )
        statuses.add(response.status_code)
        assert response.status_code in described - {500}, (case.path, response.status_code, response.text)
        if response.status_code != 200 and case.path.startswith("/v1/"):
            assert set(response.json()) == {"error"}

    ask()
    return statuses
