"""The cache of stage outputs: what an output depends on, and that it is made once for all roots."""

import pytest

from pipeline.core import table
from pipeline.core.params import to_yaml
from pipeline.experiments.stage_cache import cache_key, make_root, run_cached
from tests.support.ablation_project import QUICK, make_tables, write_project


@pytest.fixture
def tables(rows, pairs):
    return make_tables(rows, pairs)


@pytest.fixture
def quick(params):
    return params(QUICK).model_dump(mode="json")


def test_an_output_depends_on_params_and_inputs(tmp_path, quick, tables):
    root = write_project(tmp_path, quick, tables)
    before = cache_key("synonyms", root)
    assert cache_key("synonyms", root) == before
    quick["synonyms"]["share"] = 0.5
    (root / "params.yaml").write_text(to_yaml(quick))
    other_params = cache_key("synonyms", root)
    table.write(tables["train"].iloc[:5], root / "data" / "ingest" / "train.parquet")
    assert len({before, other_params, cache_key("synonyms", root)}) == 3


@pytest.mark.slow
def test_an_output_is_made_once_for_all_roots(tmp_path, quick, tables):
    ingest = write_project(tmp_path, quick, tables) / "data" / "ingest"
    roots = [make_root(tmp_path / name, ingest, quick, tmp_path / "vectors") for name in ("one", "two")]
    first, again = (run_cached("synonyms", root, tmp_path / "kept") for root in roots)
    assert first == again
    assert not (roots[1] / "synonyms.log").exists()
    assert (roots[1] / "data" / "synonyms" / "train.parquet").exists()
