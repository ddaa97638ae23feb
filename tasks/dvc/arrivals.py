"""Files of arrivals that DVC tracks: git holds their pointers, and a fresh clone lacks the files themselves."""

import logging
import shutil
from collections.abc import Collection
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import Params, read_yaml
from pipeline.core.stage import write_atomically
from pipeline.labelling.operations_log import unfinished_arrivals
from pipeline.sources.arrival_files import list_pointers
from tasks.dvc import store

LOG = logging.getLogger(__name__)


def restore_arrivals(root: Path, params: Params, rewritten: Collection[str] = ()) -> list[Path]:
    """Bring back each file of arrivals that DVC tracks and that is not there; returns the files brought back.

    They come from the DVC cache or the default remote, and every byte is checked. Raises UserError if neither has one,
    or if a file is there with another content: a training would miss its rows. Files of ``rewritten``, which are paths
    in the project, may have another.
    """
    restored = []
    for pointer in list_pointers(root / params.ingest.arrivals):
        file, md5 = pointer.with_suffix(""), tracked_md5(pointer)
        if not file.exists():
            restore_file(root, file, md5)
            restored.append(file)
        elif file.relative_to(root).as_posix() not in rewritten and store.file_md5(file) != md5:
            found = f"{file.relative_to(root)}: expected the file that DVC keeps, found another"
            raise UserError(f"{found}; {ways(root, pointer)}")
    return restored


def restore_file(root: Path, file: Path, md5: str) -> None:
    """Bring one file back. Raises UserError if neither the cache nor the remote has it intact."""
    pointer = file.with_name(file.name + ".dvc")
    try:
        content = store.find_content(root, str(file.relative_to(root)), md5)
    except UserError as error:
        raise UserError(
            f"{file.relative_to(root)}: expected the file that DVC keeps, found none here, in the DVC cache or in the "
            f"default remote; {ways(root, pointer)}"
        ) from error
    if file.is_symlink():
        file.unlink()  # it leads nowhere
    write_atomically(file, lambda part: shutil.copyfile(content, part))
    LOG.warning("%s was not here; brought back from DVC", file.relative_to(root))


def tracked_md5(pointer: Path) -> str:
    """The MD5 in a pointer. Raises UserError if it is no pointer of DVC."""
    try:
        md5: str = read_yaml(pointer)["outs"][0]["md5"]
    except (KeyError, IndexError, TypeError):
        raise UserError(f"{pointer}: expected a pointer of DVC, found none; `git checkout` it, or remove it") from None
    return md5


def ways(root: Path, pointer: Path) -> str:
    """What to do about a file of arrivals that is gone or changed."""
    path, file = pointer.relative_to(root), pointer.with_suffix("").relative_to(root)
    if file.as_posix() in unfinished_arrivals(root):
        return "`gleaner forget` was cut off while it rewrote this file: run the same `gleaner forget` again"
    is_there = pointer.with_suffix("").exists()
    removal = f"`rm {file}` and `git rm {path}` together give" if is_there else f"`git rm {path}` gives"
    return (
        f"`dvc checkout {path}` brings it back, `dvc pull {path}` where only the remote has it; {removal} its rows up"
    )
