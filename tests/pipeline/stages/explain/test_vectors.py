"""Vectors of the explain stage: which encoder makes them."""

from pathlib import Path

from pipeline.stages.explain import vectors


def test_the_same_weights_are_recognised_under_other_names(tmp_path: Path, tiny_encoder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(tiny_encoder / "model.safetensors")
    named = {f"bert.{name}": value for name, value in tensors.items()}
    for folder, content in {"same": named, "other": {name: value + 1e-3 for name, value in tensors.items()}}.items():
        (tmp_path / folder).mkdir()
        save_file(content, tmp_path / folder / "model.safetensors")
    assert vectors.same_weights(tmp_path / "same", tiny_encoder)
    assert not vectors.same_weights(tmp_path / "other", tiny_encoder)
    assert not vectors.same_weights(tiny_encoder, tmp_path / "same")  # a name that the first does not have
