"""An output of a stage as dvc.lock records it: DVC removes an output before the stage makes it anew."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from tasks.dvc.lock_file import LockEntry, is_lock, outputs
from tasks.dvc.store import open_dvc_store


def recorded_entry(root: Path, output: Path) -> LockEntry | None:
    """The entry of an output in the project's dvc.lock; None if there is none."""
    path = root / "dvc.lock"
    if not path.is_file() or not output.resolve().is_relative_to(root.resolve()):
        return None
    lock = read_yaml(path)
    return outputs(lock).get(output.resolve().relative_to(root.resolve()).as_posix()) if is_lock(lock) else None


@contextmanager
def restored(root: Path, entry: LockEntry) -> Iterator[Path | None]:
    """A copy of a recorded output, from DVC's cache or its default remote, for the block; None if neither has it."""
    with TemporaryDirectory() as folder:
        copy: Path | None = Path(folder) / Path(entry["path"]).name
        try:
            with open_dvc_store(root) as dvc_store:
                dvc_store.restore(entry, Path(folder) / Path(entry["path"]).name)
        except UserError:
            copy = None
        yield copy
