"""Files that the bundles of versions have alike take their space once, and every version stays as it was."""

import os
import shutil
from pathlib import Path

import pytest

from pipeline.models.bundle_files import seal
from tasks import registry
from tasks.registry import project_store, shared_files, version_bundle
from tasks.registry.manifest import MANIFEST_DIGEST_TAG, manifest_digest
from tasks.registry.shared_files import find_twins, freed_bytes, share

MODEL = "gleaner-demo"
ENCODER = "encoder/model.safetensors"


@pytest.fixture
def bundles(root: Path) -> list[Path]:
    """The bundles of three registered versions with one encoder and heads of their own."""
    client = registry.connect(root)
    client.create_registered_model(MODEL)
    folders = []
    for number in range(1, 4):
        bundle = root / "mlruns" / str(number) / "artifacts" / "bundle"
        (bundle / "encoder").mkdir(parents=True)
        (bundle / ENCODER).write_bytes(b"the encoder" * 50_000)
        (bundle / "head.safetensors").write_bytes(bytes([number]) * 100_000)
        (bundle / "classifier.json").write_text("{}")
        seal(bundle)
        tags = {MANIFEST_DIGEST_TAG: manifest_digest(bundle)}
        client.create_model_version(MODEL, bundle.parents[1].as_uri(), tags=tags)
        folders.append(bundle)
    project_store.write_marker(root)
    return folders


def check_all(root: Path) -> None:
    """Every byte of every version is as it was registered."""
    for number in ("1", "2", "3"):
        found = version_bundle.find_bundle(root, MODEL, number)
        assert found is not None and found.number == number


def test_equal_files_become_one(root: Path, bundles: list[Path]) -> None:
    before = freed_bytes(bundles)
    twins = find_twins(root, MODEL)
    assert [twin.path for twin in twins] == [bundle / ENCODER for bundle in bundles[1:]]
    assert share(twins) == 2 * 550_000 == before - freed_bytes(bundles)
    assert all((bundle / ENCODER).samefile(bundles[0] / ENCODER) for bundle in bundles)
    assert not find_twins(root, MODEL) and not list(root.rglob("*.part"))
    check_all(root)
    shutil.rmtree(bundles[0])  # as a prune removes a version
    assert (bundles[1] / ENCODER).read_bytes() == b"the encoder" * 50_000


def test_what_a_removal_frees_does_not_count_what_others_keep(root: Path, bundles: list[Path]) -> None:
    alone = freed_bytes(bundles[2:])
    share(find_twins(root, MODEL))
    assert freed_bytes(bundles[2:]) == alone - 550_000


def test_a_file_that_was_changed_is_shared_with_nobody(root: Path, bundles: list[Path]) -> None:
    (bundles[0] / ENCODER).write_bytes(b"the encodeR" * 50_000)
    assert share(find_twins(root, MODEL)) == 0
    assert (bundles[2] / ENCODER).stat().st_nlink == 1


def test_without_links_each_version_keeps_its_copy(
    root: Path, bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert share(find_twins(root, MODEL)) == 0
    check_all(root)


def test_a_store_on_a_network_is_left_as_it_is(
    root: Path, bundles: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert find_twins(root, MODEL) == []
    assert not shared_files.find_twins(root, MODEL, without=["1", "2", "3"])
