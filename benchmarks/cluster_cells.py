"""Cells of the benchmark in this process or, where `compute.engine` of params.yaml is ray, by the workers of a cluster.

The nodes of the cluster share the checkout.
"""

import socket
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from benchmarks.cells import Cell, Record, SharedSetup, run_cell
from benchmarks.project import BenchmarkPaths
from pipeline.compute.ray_cluster import folder_of_machine, iterate_each
from pipeline.core.params import validate_params
from pipeline.experiments.stage_runner import apply_changes


def run_cells(missing: Sequence[Cell], shared: SharedSetup, paths: BenchmarkPaths) -> Iterator[Record]:
    """The record of each cell, in the order of the cells, as soon as it and those before it have ended.

    On a cluster they run at once, each by one worker.
    """
    compute = validate_params(shared.content).compute
    if compute.engine == "local" or not missing:
        return (run_cell(cell, shared, paths) for cell in missing)
    here = replace(shared, content=apply_changes(shared.content, {"compute.engine": "local"}))
    return iterate_each(partial(run_by_worker, here, paths, socket.gethostname()), missing, compute)


def run_by_worker(shared: SharedSetup, paths: BenchmarkPaths, home: str, cell: Cell) -> Record:
    """The record of a cell that a worker runs; ``home`` is the machine whose store of vectors is ``paths.store``."""
    return run_cell(cell, shared, replace(paths, store=folder_of_machine(paths.store, home)))
