"""A model that the workers of a Ray cluster compute: each worker holds a copy, and each batch goes to one of them.

The bits are those of this process where the workers have its libraries and its kind of CPU, because batches keep their
shapes (see embeddings.py). A worker that dies is replaced, and its batches are computed again.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.compute.ray_cluster import RETRIES, connect, count_workers, plain_errors
from pipeline.core.errors import UserError
from pipeline.core.params import Compute
from pipeline.models.runtime import Batch, Choice, Runtime
from pipeline.models.vector_runtime import identity

BATCHES_PER_BLOCK = 4  # that a worker takes at a time, and that are computed again when it dies
OpenModel = Callable[[Path, int], Runtime]  # of the files in a folder, with so many threads


class RayModel:
    """The model whose files are in ``folder``, computed by all workers that `compute` of params.yaml has room for.

    The files travel through Ray's object store, so the nodes need no common file system.
    """

    def __init__(self, folder: Path, files: Iterable[str], open_model: OpenModel, choice: Choice, compute: Compute):
        """``files`` are the names of those in ``folder`` that ``open_model`` needs; nothing is sent before `run`."""
        self.folder, self.files, self.open_model = folder, sorted(files), open_model
        self.choice, self.compute = choice, compute
        self.name, self.precision = choice.runtime, choice.precision

    def run(self, batches: Iterable[Batch]) -> Iterator[np.ndarray]:
        """The model's output for each batch, (rows, outputs), float32, in the order of the batches.

        Raises UserError if there is no cluster, or if a worker cannot compute as this process would.
        """
        connect(self.compute)
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        context = DataContext.get_current()
        context.enable_progress_bars = False
        context.execution_options.preserve_order = True
        sent = {
            "files": ray.put({name: (self.folder / name).read_bytes() for name in self.files}),
            "open_model": self.open_model,
            "expected": identity(self.choice),
            "choice": self.choice,
            "threads": self.compute.cpus_per_worker,
        }
        dataset = ray.data.from_arrow(list(to_blocks(batches))).map_batches(
            Worker,
            batch_size=None,
            batch_format="pyarrow",
            fn_constructor_kwargs=sent,
            num_cpus=self.compute.cpus_per_worker,
            max_restarts=RETRIES,  # of a worker; else a block that none survives would be tried without end
            compute=ActorPoolStrategy(min_size=1, max_size=count_workers(self.compute)),
        )
        with plain_errors():
            for row in dataset.iter_rows():
                yield np.frombuffer(row["output"], dtype=np.float32).reshape(row["rows"], -1)


class Worker:
    """What one worker of the cluster does: it opens the model once, and computes blocks of batches with it."""

    def __init__(self, files: Any, open_model: OpenModel, expected: str, choice: Choice, threads: int) -> None:
        """``files`` is Ray's reference to the contents by name.

        ``expected`` is the `identity` of the driver. Raises UserError if the libraries here would give other bits.
        """
        import ray

        found = identity(choice)
        if found != expected:
            raise UserError(
                f"compute: expected workers with {expected}, found {found}; install the same versions on every node"
            )
        with tempfile.TemporaryDirectory() as name:
            for file, content in ray.get(files).items():
                path = Path(name) / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.model = open_model(Path(name), threads)

    def __call__(self, block: Any) -> Any:
        """A table with ``rows`` and ``output`` of each batch, from a table that `to_blocks` made."""
        import pyarrow as pa

        outputs = list(self.model.run(map(to_batch, block.to_pylist())))
        return pa.table(
            {
                "rows": pa.array([len(output) for output in outputs], pa.int64()),
                "output": pa.array([np.ascontiguousarray(output).tobytes() for output in outputs], pa.large_binary()),
            }
        )


def to_blocks(batches: Iterable[Batch]) -> Iterator[Any]:
    """Tables of up to `BATCHES_PER_BLOCK` batches, each a row: ids as bytes of int32, and the tokens of each text."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for ids, mask in batches:
        rows.append({"ids": ids.astype(np.int32).tobytes(), "tokens": mask.sum(axis=1).tolist()})
        if len(rows) == BATCHES_PER_BLOCK:
            yield pa.Table.from_pylist(rows)
            rows = []
    if rows:
        yield pa.Table.from_pylist(rows)


def to_batch(row: dict[str, Any]) -> Batch:
    """Ids and mask, both (rows, tokens), int64, of a row of `to_blocks`."""
    tokens = np.array(row["tokens"])
    ids = np.frombuffer(row["ids"], dtype=np.int32).astype(np.int64).reshape(len(tokens), -1)
    mask = (np.arange(ids.shape[1]) < tokens[:, None]).astype(np.int64)
    return ids, mask
