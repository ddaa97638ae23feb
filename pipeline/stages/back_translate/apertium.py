"""Apertium as the engine: rule-based, offline, one process a batch and direction.

Forcada et al. (2011), "Apertium: a free/open-source platform for rule-based machine translation".
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import BackTranslate

# A numbered line of its own follows every text: the numbers must come back in order, or the texts may have shifted.
MARK = re.compile(r"\n\n(\d{6})\n\n")


class Apertium:
    """The two directions named in ``back_translate.apertium``.

    Raises UserError when the command or a direction is not installed.
    """

    def __init__(self, params: BackTranslate) -> None:
        self.pairs = params.apertium
        check(self.pairs)

    @property
    def identity(self) -> str:
        """The version of the program, and the directions with the digest of their dictionaries and rules."""
        version = subprocess.run(["apertium", "-V"], capture_output=True, text=True, check=False).stdout
        return f"apertium {version} {[(pair, digest(pair)) for pair in self.pairs]}"

    def round_trip(self, texts: list[str]) -> list[str]:
        """The texts there and back."""
        for pair in self.pairs:
            texts = translate(texts, pair)
        return texts


def check(pairs: list[str]) -> None:
    """Raise UserError that says what to install, unless command and directions are there."""
    if shutil.which("apertium") is None:
        raise UserError(
            "back_translate.engine: expected the command apertium, found none; install it with "
            f"`apt-get install apertium-{pairs[0]}`, or set back_translate.engine: none"
        )
    installed = subprocess.run(["apertium", "-l"], capture_output=True, text=True, check=False).stdout.split()
    missing = [pair for pair in pairs if pair not in installed]
    if missing:
        raise UserError(
            f"back_translate.apertium: expected installed directions, found no {', '.join(missing)} "
            f"(installed: {', '.join(installed) or 'none'}); install the package of the pair, "
            f"e.g. `apt-get install apertium-{pairs[0]}`"
        )


def digest(pair: str) -> str:
    """SHA-256 of all that a direction is made of: its mode file, and the files that this names.

    Packages of a pair are upgraded without the program. Of an installation laid out otherwise than its packages, which
    keep the modes in share/apertium beside bin, it is the digest of nothing.
    """
    mode = Path(str(shutil.which("apertium"))).resolve().parent.parent / "share" / "apertium" / "modes" / f"{pair}.mode"
    total = hashlib.sha256()
    if mode.exists():
        text = mode.read_text(encoding="utf-8")
        total.update(text.encode())
        for name in filter(Path.is_file, map(Path, re.findall(r"'([^']+)'", text))):  # options may be quoted, too
            total.update(name.read_bytes())
    return total.hexdigest()[:16]


def translate(texts: list[str], pair: str) -> list[str]:
    """One direction, in one process; one process a text should the texts of a batch run into each other.

    Texts must not contain line breaks (``table.normalise``). What comes out of a direction is normalised again.
    """
    numbers = [f"{i:06d}" for i in range(len(texts))]
    parts = MARK.split(call("".join(f"{text}\n\n{n}\n\n" for text, n in zip(texts, numbers, strict=True)), pair))
    if parts[1::2] == numbers:
        return [" ".join(part.split()) for part in parts[:-1:2]]
    return [" ".join(call(text, pair).split()) for text in texts]


def call(text: str, pair: str) -> str:
    """What ``apertium`` makes of a text, unknown words unmarked."""
    done = subprocess.run(["apertium", "-u", pair], input=text, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UserError(
            f"back_translate.apertium: expected a translation by {pair}, found exit code {done.returncode}; "
            f"try `echo hello | apertium -u {pair}`"
        )
    return done.stdout
