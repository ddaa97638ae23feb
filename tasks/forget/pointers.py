"""The files that DVC tracks by pointers (`dvc add`): an object that one names may be the only copy of many rows."""

from pathlib import Path

from tasks.dvc.store import DvcStore, file_md5
from tasks.forget.findings import Finding


def pointed_files(store: DvcStore) -> dict[str, str]:
    """The files that the pointers of the working tree name: MD5 by path in the project."""
    root = Path(store.repo.root_dir)
    files: dict[str, str] = {}
    for stage in store.repo.index.stages:
        for out in stage.outs if stage.path.endswith(".dvc") else []:
            path, md5 = Path(out.fs_path), out.hash_info.value
            if md5 and path.is_relative_to(root):
                name = path.relative_to(root).as_posix()
                parts = store.files({"path": name, "md5": md5}) or {}
                files |= {f"{name}/{inner}" if inner else name: part for inner, part in parts.items()}
    return files


def find_absent(root: Path, pointed: dict[str, str], found: set[str], rewritten: set[str]) -> list[Finding]:
    """The pointed files whose objects are among the ``found`` MD5s and that the working tree has not, or has changed.

    Files that a forget which was cut off has ``rewritten`` are not among them: their old objects have to go.
    """
    return [
        Finding("files", name, root / name, "absent")
        for name, md5 in sorted(pointed.items())
        if md5 in found and name not in rewritten
        if not (root / name).is_file() or file_md5(root / name) != md5
    ]
