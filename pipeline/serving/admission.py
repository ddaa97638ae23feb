"""Who may ask, how often and how much: keys, rates, and the size of a body, before anything is parsed."""

import asyncio
import time
from dataclasses import dataclass, field

from starlette.requests import ClientDisconnect, Request

from pipeline.policies.monitoring.traffic import ANYONE
from pipeline.serving.errors import ApiError
from pipeline.serving.keys import Keyring, StoredKey
from pipeline.serving.rate_limit import RateLimit
from pipeline.serving.service import Service


@dataclass(frozen=True)
class Caller:
    """Whose request it is."""

    key: str  # the id of the key
    began: float = field(default_factory=time.monotonic)  # when it was admitted, in seconds


def admit(service: Service, request: Request, scope: str | None) -> Caller:
    """Whose request it is. Raises ApiError without a key (401), with one of another scope (403), or too often (429)."""
    if service.settings.is_open:
        caller = Caller(ANYONE)
    else:
        stored = find_key(service.keyring, request.headers.get("authorization", ""))
        if stored is None:
            raise ApiError(401, "no_key", "expected the header Authorization: Bearer KEY with a valid key")
        if not stored.allows(scope):
            raise ApiError(403, "wrong_scope", f"expected a key with the scope {scope}, found one without")
        caller = Caller(stored.id)
    count_request(service.rate, caller.key, service.params.serve.limits.requests_per_second)
    return caller


def find_key(keyring: Keyring, authorization: str) -> StoredKey | None:
    """The valid key in a header Authorization; None if there is none."""
    kind, _, key = authorization.partition(" ")
    return keyring.find(key.strip()) if kind.lower() == "bearer" else None


def count_request(rate: RateLimit, key: str, allowed: float) -> None:
    """Count a request of a key. Raises ApiError if it is one too many; ``allowed`` a second is what the answer says."""
    if seconds := rate.take(key):
        raise ApiError(429, "too_many", f"expected at most {allowed:g} requests a second, found more", seconds)


async def read_body(service: Service, request: Request) -> bytes:
    """The body of a request. Raises ApiError for one that is too large (413) or too slow (408)."""
    limits = service.params.serve.limits
    too_large = ApiError(413, "too_large", f"expected a body of at most {limits.body_bytes} bytes, found more")
    announced = request.headers.get("content-length", "0")
    if announced.isascii() and announced.isdigit() and int(announced[:20]) > limits.body_bytes:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(limits.timeout_seconds):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limits.body_bytes:
                    raise too_large
    except TimeoutError:
        raise ApiError(408, "slow", f"expected the body within {limits.timeout_seconds:g} s, found a part") from None
    except ClientDisconnect:
        raise ApiError(400, "gone", "expected the whole body, found a part") from None
    return bytes(content)


def require_limits(service: Service, texts: list[str], most: int | None = None) -> None:
    """Raises ApiError if there are too many texts, or one is too long."""
    limits = service.params.serve.limits
    most = limits.texts if most is None else most
    if len(texts) > most:
        raise ApiError(413, "too_many_texts", f"texts: expected at most {most}, found {len(texts)}")
    if long := [row for row, text in enumerate(texts) if len(text) > limits.text_characters]:
        raise ApiError(
            413, "text_too_long", f"texts.{long[0]}: expected at most {limits.text_characters} characters, found more"
        )
