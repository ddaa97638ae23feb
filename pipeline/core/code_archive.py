"""The code of all stages as one zip file, stored with a version: a project of one's own holds no code itself."""

import io
import zipfile
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.installed import CODE_FOLDER, PIN_FILE, read_pin, stage_code_files, stage_digests, template_folder

DEFINITION = "gleaner/template/dvc.yaml"  # of the archive, as in a wheel
EARLIEST = (1980, 1, 1, 0, 0, 0)  # the time of every member, so that the same code is the same archive


def pack_code() -> bytes:
    """A zip file of the installed code of all stages, and of the dvc.yaml that lists it.

    The same code gives the same bytes.
    """
    listed = stage_code_files(CODE_FOLDER, template_folder()).values()
    files = {file.relative_to(CODE_FOLDER).as_posix(): file for paths in listed for file in paths}
    files[DEFINITION] = template_folder() / "dvc.yaml"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, file in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(name, EARLIEST), file.read_bytes(), zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def unpack_code(packed: bytes, root: Path, title: str) -> None:
    """Unpack the code of all stages into the project in ``root``, which then runs it in place of the installed code.

    Raises UserError, with ``title`` in its message, unless the archive holds exactly the code that the project's
    gleaner.yaml names: it may come from a store that others can write to, and it is run.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            archive.extractall(root)
            names = {name for name in archive.namelist() if not name.endswith("/")}
    except zipfile.BadZipFile:
        names = set()
    template = (root / DEFINITION).parent
    listed = stage_code_files(root, template).values() if (root / DEFINITION).is_file() else ()
    expected = {file.relative_to(root).as_posix() for paths in listed for file in paths} | {DEFINITION}
    if names != expected or stage_digests(root, template) != read_pin(root).get("stages"):
        raise UserError(
            f"{title}: expected the code that its {PIN_FILE} names among the artifacts of its run, found other code; "
            "somebody changed it"
        )
