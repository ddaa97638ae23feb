"""The bundle that `gleaner predict` and `gleaner explain` use: the old one serves until the new one is whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.printable import print_note
from pipeline.models.bundle_files import MANIFEST


@contextmanager
def served_bundle(root: Path, folder: Path) -> Iterator[Path]:
    """The folder with the bundle, for the block.

    While `export` makes it anew it is gone, because DVC removes it first. Then the one that dvc.lock records is used,
    from DVC's cache, and a line on stderr says so.
    """
    if (folder / MANIFEST).exists() or (folder / "classifier.json").exists():
        yield folder
        return
    from tasks.dvc.recorded_output import recorded_entry, restored

    entry = recorded_entry(root, folder)
    if entry is None:
        yield folder
        return
    with restored(root, entry) as copy:
        if copy is not None:
            print_note(
                f"{folder}: not there, perhaps because export is at work; the bundle of dvc.lock answers, from DVC's "
                "cache; `dvc checkout` brings it back"
            )
        yield copy or folder
