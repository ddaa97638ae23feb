"""The command `gleaner keys`: create, list and revoke the API keys of the service."""

from pathlib import Path

from pipeline.serving import keys


def create(root: Path, name: str, scopes: list[str]) -> int:
    """Create a key and print it, the last word of all; exit code 0."""
    key = keys.create_key(root, name, scopes)
    print(f"{name} ({', '.join(scopes)}), stored as a digest, so that it is shown only now: {key}")
    return 0


def list_all(root: Path) -> int:
    """Print name, scopes and day of each key; exit code 0."""
    stored = keys.read_keys(keys.keys_file(root))
    for key in stored:
        print(f"{key.name}\t{', '.join(key.scopes)}\t{key.created}\t{key.id}")
    if not stored:
        print("no keys yet; `gleaner keys create NAME --scope predict` makes one")
    return 0


def revoke(root: Path, name: str) -> int:
    """Revoke a key; exit code 0."""
    revoked = keys.revoke_key(root, name)
    print(f"{revoked.name} is revoked; the service refuses it from now on")
    return 0
