"""MLflow's pages and API behind the guard: the store's runs are for whoever has the password, on this server's name."""

import asyncio
import os
from pathlib import Path

import httpx
import pytest
from mlflow import MlflowClient

from tasks.registry.guarded_mlflow import guarded_pages

OWN, SEARCH = "http://127.0.0.1:5000", "/api/2.0/mlflow/experiments/search?max_results=10"


@pytest.mark.slow
def test_runs_are_shown_for_the_password_and_the_own_name_only(
    tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mlflow.db").write_bytes(store.read_bytes())
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    MlflowClient(address).create_experiment("mine")
    monkeypatch.setattr("os.environ", os.environ.copy())
    transport = httpx.ASGITransport(guarded_pages(5000, address, "gleaner:secret"))

    async def ask(path: str, password: str | None, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await client.get(path, auth=("gleaner", password) if password else None, headers=headers)

    found = asyncio.run(ask(SEARCH, "secret", Origin=OWN))
    assert found.status_code == 200 and "mine" in {row["name"] for row in found.json()["experiments"]}
    assert asyncio.run(ask("/", "secret")).status_code == 200
    for path in ("/", SEARCH, "/health", "/version"):
        refused = asyncio.run(ask(path, None))
        assert refused.status_code == 401 and refused.headers["www-authenticate"] == 'Basic realm="gleaner"'
    assert asyncio.run(ask(SEARCH, "guess")).status_code == 401
    assert asyncio.run(ask(SEARCH, "secret", Host="evil.example:5000")).status_code == 403
    assert asyncio.run(ask(SEARCH, "secret", Origin="http://evil.example")).status_code == 403
