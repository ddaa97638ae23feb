"""The counterfactual check: does the label stay when a test row's terms for one group are swapped for another's?

    python -m pipeline.stages.counterfactual

Reads data/ingest/test.parquet, data/export/bundle and data/identity_terms; writes pairs.csv, terms.csv, flips.csv (row
ids, no text) and metrics.json to data/counterfactual.

The idea is counterfactual fairness by substitution (Garg et al. 2019, "Counterfactual Fairness in Text Classification
through Robustness").
"""

from pipeline.stages.counterfactual.run import run

__all__ = ["run"]
