"""Apertium as the engine: rule-based and offline, one process a batch and direction.

Forcada et al. (2011), "Apertium: a free/open-source platform for rule-based machine translation".
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import BackTranslate

# A numbered line follows every text. The numbers must come back in order; otherwise texts may have run into each other.
MARK = re.compile(r"\n\n(\d{6})\n\n")


class Apertium:
    """The two directions named in ``back_translate.apertium``.

    Raises UserError if the command or a direction is not installed.
    """

    def __init__(self, params: BackTranslate) -> None:
        self.pairs = params.apertium
        check_installed(self.pairs)

    @property
    def identity(self) -> str:
        """The version of the program, and each direction with the digest of its dictionaries and rules."""
        version = subprocess.run(["apertium", "-V"], capture_output=True, text=True, check=False).stdout
        return f"apertium {version} {[(pair, pair_digest(pair)) for pair in self.pairs]}"

    def round_trip(self, texts: list[str]) -> list[str]:
        """The texts translated there and back."""
        for pair in self.pairs:
            texts = translate(texts, pair)
        return texts


def check_installed(pairs: list[str]) -> None:
    """Raises UserError, which says what to install, if the command or one of the directions is missing."""
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


def pair_digest(pair: str) -> str:
    """SHA-256, 16 hex digits, of everything that makes up a direction: its mode file and the files named in it.

    A package of a pair may be upgraded while the version of the program stays. Debian's packages keep the mode files in
    share/apertium beside bin; for an installation with another layout, the digest is that of no content.
    """
    modes = Path(str(shutil.which("apertium"))).resolve().parent.parent / "share" / "apertium" / "modes"
    mode = modes / f"{pair}.mode"
    digest = hashlib.sha256()
    if mode.exists():
        text = mode.read_text(encoding="utf-8")
        digest.update(text.encode())
        for path in filter(Path.is_file, map(Path, re.findall(r"'([^']+)'", text))):  # options may be quoted, too
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def translate(texts: list[str], pair: str) -> list[str]:
    """The texts translated in one direction and normalised, as many, in the same order.

    One process translates all texts. If they run into each other, each text gets a process. Texts must not contain
    line breaks (``table.normalise`` removes them).
    """
    numbers = [f"{i:06d}" for i in range(len(texts))]
    numbered = "".join(f"{text}\n\n{number}\n\n" for text, number in zip(texts, numbers, strict=True))
    parts = MARK.split(run_apertium(numbered, pair))
    if parts[1::2] == numbers:
        return [" ".join(part.split()) for part in parts[:-1:2]]
    return [" ".join(run_apertium(text, pair).split()) for text in texts]


def run_apertium(text: str, pair: str) -> str:
    """The translation of a text, unknown words unmarked. Raises UserError if ``apertium`` fails."""
    done = subprocess.run(["apertium", "-u", pair], input=text, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UserError(
            f"back_translate.apertium: expected a translation by {pair}, found exit code {done.returncode}; "
            f"try `echo hello | apertium -u {pair}`"
        )
    return done.stdout
