"""The front before the replicas: it counts for all of them, and asks another one where one dies."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route
from starlette.testclient import TestClient

from pipeline.core.params import Params
from pipeline.serving.app import build_app, counted_paths
from pipeline.serving.handover import Handover, write_handover
from pipeline.serving.keys import create_key
from pipeline.serving.replica import Answered, Asked, Replica, build_state
from pipeline.serving.service import Settings
from tasks.serving.ray_front import Front, application_name
from tests.support.serving import WORDS, named, params_with, start_service


class Replicas:
    """Real replicas in this process, asked in turn as a handle asks them; those in ``dead`` answer as dead ones do."""

    def __init__(self, settings: Settings, params: Params, count: int) -> None:
        self.replicas = [Replica(settings, params) for _ in range(count)]
        self.asked = 0
        self.dead: set[int] = set()

    async def remote(self, asked: Asked) -> Answered:
        from ray.exceptions import ActorDiedError

        self.asked += 1
        turn = self.asked % len(self.replicas)
        if turn in self.dead:
            raise ActorDiedError()
        return await self.replicas[turn].answer(asked)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A project in which version 3 is to be served."""
    (tmp_path / "inbox" / "feedback").mkdir(parents=True)
    handover = tmp_path / "handover.json"
    write_handover(handover, Handover(named(tmp_path / "bundle", WORDS, "3"), versions=("3",)))
    return Settings(tmp_path, handover)


Check = Callable[[httpx.AsyncClient, Replicas], Awaitable[None]]


def run(check: Check, settings: Settings, **limits: Any) -> None:
    """Run a check with a client that has a key, and with the two replicas that answer it."""

    async def run_check() -> None:
        params = params_with(limits=limits)
        replicas = Replicas(settings, params, 2)
        transport = httpx.ASGITransport(Front(build_state(settings, params), replicas))
        headers = {"Authorization": f"Bearer {create_key(settings.root, 'test', ['predict'])}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            await check(client, replicas)
        for replica in replicas.replicas:
            if replica.running is not None:
                await replica.running.aclose()

    asyncio.run(asyncio.wait_for(run_check(), 60))


def test_a_rate_holds_for_all_replicas_together(settings: Settings) -> None:
    async def check(client: httpx.AsyncClient, _: Replicas) -> None:
        found = [await client.post("/v1/predict", json={"texts": ["parcel"]}) for _ in range(5)]
        assert [answer.status_code for answer in found] == [200, 200, 200, 429, 429]
        assert found[0].json()["version"] == "3" and found[-1].headers["retry-after"]

    run(check, settings, requests_per_second=0.001, burst=3)


def test_the_replicas_refuse_what_a_worker_refuses(settings: Settings) -> None:
    async def check(client: httpx.AsyncClient, _: Replicas) -> None:
        assert (await client.post("/v1/predict", json={"texts": ["a" * 3000]})).status_code == 413
        assert (await client.post("/v1/predict", content=b"{")).status_code == 400
        assert (await client.post("/v1/feedback", json={"text": "x", "label": "delivery"})).status_code == 403
        assert (await client.get("/v1/labels", headers={"Authorization": "Bearer none"})).status_code == 401
        assert (await client.get("/nowhere")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200

    run(check, settings, body_bytes=2000)


def test_a_dead_replica_is_passed_over_and_without_any_the_answer_is_503(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def check(client: httpx.AsyncClient, replicas: Replicas) -> None:
        replicas.dead = {0}
        assert {(await client.post("/v1/predict", json={"texts": ["parcel"]})).status_code for _ in range(4)} == {200}
        replicas.dead = {0, 1}
        answer = await client.post("/v1/predict", json={"texts": ["secret parcel"]})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "no_replica")

    run(check, settings)
    said = capsys.readouterr().err
    assert "ActorDiedError" in said and "secret" not in said


def test_the_front_counts_what_a_worker_counts(tmp_path: Path) -> None:
    params = params_with(limits={"requests_per_second": 0.001, "burst": 1})
    app = build_app(start_service(tmp_path, params))
    key = create_key(tmp_path, "test", ["predict", "explain", "feedback"])
    routes = [route for route in app.app.routes if isinstance(route, Route | APIRoute)]
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as client:
        while client.get("/readyz").status_code != 200:
            pass
        client.get("/v1/labels")  # the one that the rate allows
        statuses = {
            route.path: client.request(min(route.methods or {"GET"}), route.path).status_code for route in routes
        }
    assert counted_paths(app) == {path for path, status in statuses.items() if status == 429}
    assert {"/v1/predict", "/invocations"} < counted_paths(app) and statuses["/"] == 200


def test_services_on_two_ports_have_replicas_of_their_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        assert application_name(one) == application_name(one) != application_name(other)
