"""A real Ray cluster on this machine: a head and a second node of one core each, joined with a token."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def two_nodes() -> Iterator[Any]:
    """The cluster, with this process in it; everything that it started has ended afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else whatever else runs here would hold the workers up
        patch.setenv("PYTHONPATH", os.getcwd())  # the workers run the code that is tested
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex())
        import ray
        from ray import _raylet
        from ray.cluster_utils import Cluster

        core: Any = _raylet
        core.Config.initialize("")  # another test of this process may have imported Ray before the token was there
        core.AuthenticationTokenLoader.instance().reset_cache()

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            cluster.add_node(num_cpus=1)
            ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()
