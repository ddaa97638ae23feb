"""Keeps proxies of the environment away from loopback, and says which proxy a server's address goes through."""

import os
from collections.abc import Iterator, MutableMapping
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies_environment, proxy_bypass

from pipeline.core.errors import UserError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EXCEPTIONS = ("no_proxy", "NO_PROXY")  # some libraries read the one, some the other


def bypass_loopback(environment: MutableMapping[str, str]) -> None:
    """Add loopback to the hosts that are asked without a proxy, for this process and its children.

    A proxy on another machine does not reach the servers of this one.
    """
    known = [host.strip() for name in EXCEPTIONS for host in environment.get(name, "").split(",")]
    hosts = dict.fromkeys(host for host in [*known, *LOOPBACK] if host)
    for name in EXCEPTIONS:
        environment[name] = "*" if "*" in hosts else ",".join(hosts)


def check_proxies() -> None:
    """Raise UserError where a proxy variable stops every request of Prefect's client, those to loopback included."""
    for name, value in set_proxies():
        if fault := proxy_fault(value):
            raise UserError(f"{name}: {fault}")


def proxy_fault(value: str) -> str | None:
    """What is wrong with the value of a proxy variable, and what to do; None if Prefect's client can use it."""
    scheme = value.partition("://")[0].lower() if "://" in value else "http"
    if scheme in ("socks5", "socks5h") and find_spec("socksio") is None:
        return "expected an HTTP proxy, found a SOCKS proxy, which needs a package; `pip install socksio`, or unset it"
    if scheme not in ("http", "https", "socks5", "socks5h") or proxy_endpoint(value) is None:
        return "expected the address of a proxy, such as http://proxy.example:3128, found another; correct or unset it"
    return None


def set_proxies() -> Iterator[tuple[str, str]]:
    """The names of the environment's proxy variables, with their values."""
    for name, value in sorted(os.environ.items()):
        if name.lower() in ("http_proxy", "https_proxy", "all_proxy") and value:
            yield name, value


def proxy_of(address: str) -> str | None:
    """The proxy through which an address is asked; None where it is asked directly."""
    parts = urlsplit(address)
    proxies = getproxies_environment()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if proxy is None or parts.hostname in LOOPBACK or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy


def is_missing_in_no_proxy(host: str) -> bool:
    """Whether a proxy is set and the user's NO_PROXY does not keep it away from a host."""
    return any(set_proxies()) and not proxy_bypass(host)


def proxy_endpoint(proxy: str) -> tuple[str, int] | None:
    """Host and port of a proxy; None where its address is none."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    try:
        port = parts.port or {"https": 443, "socks5": 1080, "socks5h": 1080, "socks4": 1080}.get(parts.scheme, 80)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname else None
