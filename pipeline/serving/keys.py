"""API keys of the service: created, listed, revoked, and checked. The file holds digests only, never a key.

A key has 256 random bits, so that a plain SHA-256 of it can neither be guessed nor be looked up in a table. Of a
revoked key only the name stays, in a file of its own, for people who look at what it sent.
"""

import hashlib
import hmac
import json
import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import TypeAdapter, ValidationError

from pipeline.core.errors import UserError
from pipeline.core.stage import write_atomically

FOLDER, FILE, REVOKED_FILE = ".gleaner", "keys.json", "revoked-keys.json"  # in the project
SCOPES = ("predict", "explain", "feedback", "admin")
ADMIN = "admin"  # may do what every other scope may
PREFIX = "gleaner"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEY = re.compile(rf"{PREFIX}_(?P<id>[0-9a-f]{{12}})_[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True)
class StoredKey:
    """What the file keeps of a key."""

    id: str
    name: str
    scopes: tuple[str, ...]
    sha256: str
    created: str  # ISO 8601, UTC

    def allows(self, scope: str | None) -> bool:
        """Whether the key has this scope; None is asked where any key will do."""
        return scope is None or scope in self.scopes or ADMIN in self.scopes


def keys_file(root: Path) -> Path:
    """The file of a project's keys."""
    return root / FOLDER / FILE


def create_key(root: Path, name: str, scopes: list[str]) -> str:
    """A new key, which is stored as a digest only. Raises UserError for a bad or a used name, or an unknown scope."""
    if not NAME.fullmatch(name):
        raise UserError(f"NAME: expected letters, digits and . _ - up to 64, found {name[:70]!r}; choose another")
    if not scopes or (unknown := sorted(set(scopes) - set(SCOPES))):
        found = ", ".join(unknown) if scopes else "none"
        raise UserError(f"--scope: expected some of {', '.join(SCOPES)}, found {found}; correct it")
    key_id = secrets.token_hex(6)
    key = f"{PREFIX}_{key_id}_{secrets.token_urlsafe(32)}"
    created = datetime.now(UTC).isoformat(timespec="seconds")
    stored = StoredKey(key_id, name, tuple(s for s in SCOPES if s in scopes), digest(key), created)
    with locked(root):
        keys = read_keys(keys_file(root))
        if any(other.name == name for other in keys):
            raise UserError(f"{name}: expected a name that no key has, found one; revoke that key, or choose another")
        write_keys(root, [*keys, stored])
    return key


def revoke_key(root: Path, name: str) -> StoredKey:
    """Remove the key of this name or id, which the service refuses from then on. Raises UserError if there is none."""
    with locked(root):
        keys = read_keys(keys_file(root))
        revoked = next((key for key in keys if name in (key.name, key.id)), None)
        if revoked is None:
            known = ", ".join(key.name for key in keys) or "none"
            raise UserError(f"{name[:70]}: expected the name of a key, found none of it; there are: {known}")
        write_keys(root, [key for key in keys if key is not revoked])
        try:
            names = read_revoked_names(root)
        except UserError:  # a damaged file of names is written anew: it hinders no revocation
            names = {}
        write_private(root / FOLDER / REVOKED_FILE, names | {revoked.id: revoked.name})
    return revoked


def read_key_names(root: Path) -> dict[str, str]:
    """The names of keys by id, of revoked ones too. Raises UserError if a file is damaged.

    A revoked key whose name another key has goes by name and id, such as "shop/d1e7ce9e0427".
    """
    names, revoked = {key.id: key.name for key in read_keys(keys_file(root))}, read_revoked_names(root)
    uses = Counter([*names.values(), *revoked.values()])
    return {id_: name if uses[name] == 1 else f"{name}/{id_}" for id_, name in revoked.items()} | names


def read_revoked_names(root: Path) -> dict[str, str]:
    """The names of revoked keys by id; none if there is no file of them. Raises UserError if it is damaged."""
    path = root / FOLDER / REVOKED_FILE
    try:
        return TypeAdapter(dict[str, str]).validate_json(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValidationError:
        raise UserError(f"{path}: expected the names of revoked keys, found something else; remove it") from None


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock of the project's keys for the block; the folder is made, and ignored by git, if it is missing."""
    folder = root / FOLDER
    folder.mkdir(exist_ok=True, mode=0o700)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("# Keys and states of one machine.\n*\n")
    with FileLock(folder / "keys.lock", fallback_to_soft=False):
        yield


def write_keys(root: Path, keys: list[StoredKey]) -> None:
    """Write the file of keys."""
    write_private(keys_file(root), [asdict(key) for key in keys])


def write_private(path: Path, value: object) -> None:
    """Write a value as JSON into a file that only its owner can read, whatever the umask."""
    content = json.dumps(value, indent=1).encode() + b"\n"

    def write(part: Path) -> None:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    write_atomically(path, write)


def read_keys(path: Path) -> list[StoredKey]:
    """The keys in a file; none if there is no such file. Raises UserError if it is damaged."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    try:
        return TypeAdapter(list[StoredKey]).validate_json(content)
    except ValidationError:
        raise UserError(
            f"{path}: expected the keys of the service, found something else; remove it, and create keys anew"
        ) from None


def digest(key: str) -> str:
    """The SHA-256 of a key, in hex."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keyring:
    """The keys in a file, read again whenever the file changes. A damaged file leaves no key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stamp: tuple[int, int, int] | None = None
        self.keys: dict[str, StoredKey] = {}

    def find(self, key: str) -> StoredKey | None:
        """The stored key that ``key`` is; None if it is none, or was revoked."""
        self.refresh()
        match = KEY.fullmatch(key)
        stored = self.keys.get(match["id"]) if match else None
        return stored if stored and hmac.compare_digest(digest(key), stored.sha256) else None

    def refresh(self) -> None:
        """Read the file if it changed."""
        try:
            stat = self.path.stat()
        except OSError:
            self.stamp, self.keys = None, {}
            return
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        if stamp != self.stamp:
            try:
                self.keys = {key.id: key for key in read_keys(self.path)}
            except (UserError, OSError):
                self.keys = {}
            self.stamp = stamp
