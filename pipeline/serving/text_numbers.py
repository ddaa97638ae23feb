"""A number for each text, by which a text that is sent again is known although no text is kept.

Vectors do not tell it: in int8 they depend on the other texts of the batch, and a repeated text looks like a near copy.
"""

import os
import secrets
from hashlib import blake2b
from pathlib import Path

SECRET_FILE, SECRET_BYTES = "secret", 32  # in the folder of the traffic


def number_texts(texts: list[str], secret: bytes) -> list[int]:
    """A number from -2⁶³ to 2⁶³ - 1 of each text, the same for the same text; who lacks the secret cannot guess it."""
    return [
        int.from_bytes(
            blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8, key=secret).digest(), "big", signed=True
        )
        for text in texts
    ]


def find_secret(folder: Path) -> bytes:
    """The secret of a folder of traffic, made by the first worker that asks.

    One of this process alone where the disk gives none: it takes no traffic either.
    """
    path = folder / SECRET_FILE
    part = folder / f".{SECRET_FILE}.{os.getpid()}.{secrets.token_hex(4)}.part"
    made = secrets.token_bytes(SECRET_BYTES)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(made)
            try:
                os.link(part, path)  # unlike a rename, it leaves the secret of a worker that was first
            except FileExistsError:
                pass
            finally:
                part.unlink()
    except OSError:
        return made
    return read_secret(folder) or made


def read_secret(folder: Path) -> bytes | None:
    """The secret of a folder of traffic; None if it has none. Makes none."""
    try:
        found = (folder / SECRET_FILE).read_bytes()
    except OSError:
        return None
    return found if len(found) == SECRET_BYTES else None
