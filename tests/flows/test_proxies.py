"""Loopback is never asked through a proxy, whatever the environment says; what the user excepts stays excepted."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from flows import prefect_server as servers
from flows import proxies
from flows import server_address as addresses
from flows.server_address import ServerAddress
from pipeline.core.errors import UserError
from tests.flows.test_guarded_prefect import web_server

VARIABLES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A patch of the environment, without proxies and without servers."""
    for name in (*VARIABLES, "no_proxy", "NO_PROXY", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "")  # so that what the code sets is undone, too
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize("name", VARIABLES)
def test_a_server_on_loopback_is_asked_directly_whatever_proxy_is_set(
    tmp_path: Path, environment: pytest.MonkeyPatch, name: str
) -> None:
    with web_server(503, None) as proxy, web_server(200, {"other": "server"}) as url:
        environment.setenv(name, proxy.removesuffix("/api"))
        servers.configure_environment(tmp_path)
        assert addresses.server_fault(ServerAddress(url, None)) == addresses.ANOTHER_SERVER, "not the proxy's HTTP 503"
        environment.setenv(name, "http://127.0.0.1:9")
        assert addresses.server_fault(ServerAddress(url, None)) == addresses.ANOTHER_SERVER


def test_exceptions_of_the_user_are_kept_and_loopback_is_added_for_every_library() -> None:
    environment = {"NO_PROXY": "intranet.example, 10.0.0.1", "no_proxy": "localhost"}
    proxies.bypass_loopback(environment)
    assert environment["no_proxy"] == environment["NO_PROXY"]
    assert set(environment["NO_PROXY"].split(",")) == {"intranet.example", "10.0.0.1", *proxies.LOOPBACK}
    before = dict(environment)
    proxies.bypass_loopback(environment)
    assert environment == before
    everything = {"no_proxy": "*"}
    proxies.bypass_loopback(everything)
    assert everything == {"no_proxy": "*", "NO_PROXY": "*"}


@pytest.mark.parametrize("value", ["foo://proxy:1", "http://", "http://proxy:port"])
def test_a_proxy_that_stops_every_request_is_named(environment: pytest.MonkeyPatch, value: str) -> None:
    environment.setenv("ALL_PROXY", value)
    with pytest.raises(UserError, match="^ALL_PROXY: expected the address of a proxy, .*; correct or unset it$"):
        servers.find_server()


@pytest.mark.skipif(find_spec("socksio") is not None, reason="the package for SOCKS proxies is installed")
def test_a_socks_proxy_without_its_package_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("all_proxy", "socks5://127.0.0.1:1080")
    with pytest.raises(UserError, match="^all_proxy: expected an HTTP proxy, found a SOCKS proxy"):
        servers.find_server()


def test_only_other_machines_are_asked_through_the_proxy(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "http://proxy.example:3128")
    proxies.bypass_loopback(os.environ)
    assert proxies.proxy_of("http://127.0.0.1:5000") is proxies.proxy_of("http://localhost:4200/api") is None
    assert proxies.proxy_of("http://mlflow.example:5000") == "http://proxy.example:3128"
