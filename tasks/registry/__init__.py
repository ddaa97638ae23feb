"""MLflow: the runs that record what was measured, and the model versions made of it.

The only folder that talks to MLflow's stores; tasks/registry/served_model.py is loaded by MLflow itself.
"""

from tasks.registry.lookup import RegisteredVersion, all_versions, baseline, find
from tasks.registry.nights import ARRIVALS
from tasks.registry.runs import ABOUT, BATCH, Run, run
from tasks.registry.store import connect, experiment, flatten, store
from tasks.registry.versions import SERVING, Version, aliases, is_passing, pins, push, register, version_of

__all__ = [
    "ABOUT",
    "ARRIVALS",
    "BATCH",
    "SERVING",
    "RegisteredVersion",
    "Run",
    "Version",
    "aliases",
    "all_versions",
    "baseline",
    "connect",
    "experiment",
    "find",
    "flatten",
    "is_passing",
    "pins",
    "push",
    "register",
    "run",
    "store",
    "version_of",
]
