"""The graph of the stages."""

from pipeline.stages.report.graph import lay_out, layers, transitive_reduction, upstream_stages


def test_an_edge_that_a_longer_path_implies_is_left_out() -> None:
    stages = {
        "a": {},
        "b": {"deps": ["data/a/x.parquet", "pipeline/b.py"]},
        "c": {"deps": ["data/a/x.parquet", "data/b/y.parquet", "data/demo/raw.csv"]},
    }
    upstream = upstream_stages({"stages": stages})
    assert layers(upstream) == {"a": 0, "b": 1, "c": 2}
    assert transitive_reduction(upstream) == [("a", "b"), ("b", "c")]
    assert [box.stage for box in lay_out({"stages": stages}).boxes] == ["a", "b", "c"]
