"""API keys: stored as digests only, readable for their owner only, and refused once revoked."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.serving.keys import (
    FOLDER,
    REVOKED_FILE,
    Keyring,
    create_key,
    keys_file,
    read_key_names,
    read_keys,
    revoke_key,
)
from pipeline.serving.rate_limit import RateLimit


def test_a_key_is_found_and_only_its_digest_is_stored(tmp_path: Path) -> None:
    os.umask(0)
    key = create_key(tmp_path, "shop", ["feedback", "predict"])
    path = keys_file(tmp_path)
    assert key.split("_")[2] not in path.read_text() and oct(path.stat().st_mode & 0o777) == "0o600"
    stored = Keyring(path).find(key)
    assert stored and (stored.name, stored.scopes) == ("shop", ("predict", "feedback"))
    assert stored.allows("predict") and stored.allows(None) and not stored.allows("explain")
    assert Keyring(path).find(key[:-1] + ("a" if key[-1] != "a" else "b")) is None
    admin = Keyring(path).find(create_key(tmp_path, "boss", ["admin"]))
    assert admin and admin.allows("explain")


def test_git_sees_nothing_of_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    create_key(tmp_path, "shop", ["predict"])
    done = subprocess.run(["git", "status", "--porcelain"], cwd=tmp_path, capture_output=True, check=True)
    assert done.stdout == b""


def test_a_revoked_key_is_gone_at_once(tmp_path: Path) -> None:
    key, other = create_key(tmp_path, "shop", ["predict"]), create_key(tmp_path, "desk", ["predict"])
    ring = Keyring(keys_file(tmp_path))
    assert ring.find(key) and ring.find(other)
    revoke_key(tmp_path, "shop")
    assert ring.find(key) is None and ring.find(other)
    with pytest.raises(UserError, match="shop: expected the name of a key, found none of it; there are: desk"):
        revoke_key(tmp_path, "shop")


def test_a_revoked_key_keeps_its_name_and_nothing_else(tmp_path: Path) -> None:
    os.umask(0)
    key, path = create_key(tmp_path, "robot", ["predict"]), tmp_path / FOLDER / REVOKED_FILE
    first = revoke_key(tmp_path, "robot")
    assert read_key_names(tmp_path) == {first.id: "robot"} and Keyring(keys_file(tmp_path)).find(key) is None
    assert json.loads(path.read_text()) == {first.id: "robot"} and oct(path.stat().st_mode & 0o777) == "0o600"
    create_key(tmp_path, "robot", ["predict"])  # the name is free again
    (second,) = read_keys(keys_file(tmp_path))
    assert read_key_names(tmp_path) == {first.id: f"robot/{first.id}", second.id: "robot"}
    path.write_text("[]")
    with pytest.raises(UserError, match="expected the names of revoked keys, found something else; remove it"):
        read_key_names(tmp_path)
    revoke_key(tmp_path, "robot")
    assert read_key_names(tmp_path) == {second.id: "robot"} and read_keys(keys_file(tmp_path)) == []


@pytest.mark.parametrize(
    ("name", "scopes", "message"),
    [
        ("shop", ["predict"], "expected a name that no key has"),
        ("a b", ["predict"], "NAME: expected letters"),
        ("desk", ["reed"], "--scope: expected some of predict, explain, feedback, admin, found reed"),
        ("desk", [], "found none"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, name: str, scopes: list[str], message: str) -> None:
    create_key(tmp_path, "shop", ["predict"])
    with pytest.raises(UserError, match=message):
        create_key(tmp_path, name, scopes)
    assert len(read_keys(keys_file(tmp_path))) == 1


def test_a_damaged_file_is_told_and_lets_nobody_in(tmp_path: Path) -> None:
    key = create_key(tmp_path, "shop", ["predict"])
    path = keys_file(tmp_path)
    path.write_text(json.dumps([{"id": "x"}]))
    assert Keyring(path).find(key) is None
    with pytest.raises(UserError, match="expected the keys of the service"):
        read_keys(path)


def test_a_bucket_fills_at_its_rate() -> None:
    now = [100.0]
    limit = RateLimit(rate=2, burst=3, clock=lambda: now[0])
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.take("b") == 0
    now[0] += 1
    assert [limit.take("a") for _ in range(3)] == [0, 0, 0.5]
    now[0] += 1000
    assert [limit.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
