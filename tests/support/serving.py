"""A service for tests: a bundle of known answers, keys, and clients that need no port."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from pipeline.core.params import Params, read_yaml, validate_params
from pipeline.serving.app import build_app
from pipeline.serving.handover import Handover, NamedBundle, write_handover
from pipeline.serving.keys import create_key
from pipeline.serving.service import Service, Settings, build_service
from tasks.registry.manifest import manifest_digest
from tests.support.promoting import LABELS, MODEL, ROOT
from tests.support.word_bundle import build

DIRECTIONS = {"parcel": [1.0, 0.0, 0.0], "money": [0.0, 1.0, 0.0], "please": [0.0, 0.0, 1.0]}
WORDS = {"parcel": [9.0, 0.0], "money": [0.0, 9.0], "please": [0.5, 0.0]}  # logits of delivery and refund


def params_with(section: str = "serve", **changes: Any) -> Params:
    """The project's params with changes in a section; a dictionary changes keys of a nested section."""
    content = read_yaml(ROOT / "params.yaml")
    values = content[section]
    for key, value in changes.items():
        values[key] = values[key] | value if isinstance(value, dict) else value
    return validate_params(content)


def named(folder: Path, words: dict[str, list[float]], number: str | None) -> NamedBundle:
    """A bundle in ``folder`` that gives these words these logits, as version ``number``."""
    directions = DIRECTIONS if words.keys() <= DIRECTIONS.keys() else None
    bundle = build(folder, words, LABELS, directions=directions)
    return NamedBundle(str(bundle), manifest_digest(bundle), MODEL if number else None, number)


def start_service(root: Path, params: Params, is_open: bool = False) -> Service:
    """A service in ``root`` that is told to serve version 3."""
    (root / "inbox" / "feedback").mkdir(parents=True, exist_ok=True)
    handover = root / "handover.json"
    write_handover(handover, Handover(named(root / "bundle", WORDS, "3"), versions=("1", "2", "3")))
    return build_service(Settings(root, handover, is_open), params)


@contextmanager
def running(service: Service, *scopes: str) -> Iterator[TestClient]:
    """A client of the service with a key of these scopes, once a version answers."""
    key = create_key(service.settings.root, f"test-{'-'.join(scopes)}", list(scopes)) if scopes else "none"
    headers = {"Authorization": f"Bearer {key}"} if scopes else {}
    with TestClient(build_app(service), headers=headers, raise_server_exceptions=True) as client:
        while client.get("/readyz").status_code != 200:
            pass
        yield client
