"""Makes a backup while runs and nights go on: what refers to other things is copied before the things themselves.

The order makes it consistent. MLflow's database comes first, then its artifacts; an inbox comes before the arrivals
that its files become; files that point to content come before git's commits and DVC's content. So whatever the copy
names, it also holds. Things that are newer than the database do no harm: a run takes them up again.
"""

import shutil
from contextlib import suppress
from os import environ
from pathlib import Path

from pipeline.core.errors import UserError
from pipeline.core.params import read_yaml
from pipeline.core.secrets import hide_passwords
from tasks.backup.copying import copy_database, copy_file, copy_or_link
from tasks.backup.dvc_places import DvcPlaces, find_dvc_places
from tasks.backup.manifest import (
    MANIFEST,
    PROJECT,
    REMOTE,
    UNFINISHED,
    Manifest,
    read_manifest,
    start_manifest,
    write_manifest,
)
from tasks.backup.project_files import (
    DATABASE,
    DATABASE_FILES,
    SKIPPED_PATHS,
    Tree,
    list_tree,
    total_size,
)
from tasks.backup.repository import back_up_repository
from tasks.dvc.lock_file import outputs
from tasks.dvc.store import open_dvc_store

PASSES = 10  # over the project's files: each copies what came or moved during the pass before
SPARE = 1.02  # of the space for the files, for folders and the manifest
PREFECT_LINE = ".prefect: states and logs of Prefect, which belong to this machine"


def back_up(root: Path, folder: Path) -> Manifest:
    """Write a backup of the project into a new or empty folder, and return its manifest.

    Raises UserError if the folder cannot take a backup, or if space is short.
    """
    check_target(root, folder)
    places = find_dvc_places(root)
    skipped = skipped_paths(root, places)
    check_space(root, folder, places, skipped)
    prepare(folder)
    manifest = start_manifest(root)
    try:
        copy_store(root, folder, manifest)
        copy_project(root, folder, manifest, places, skipped)
        for path in back_up_repository(root, folder, manifest):
            manifest.files[path.name] = copy_file(path, path.with_name(f"{path.name}.copy"))
            path.with_name(f"{path.name}.copy").replace(path)
        copy_dvc(root, folder, manifest, places)
    except OSError as error:
        raise UserError(
            f"{folder}: expected to write the backup, found: {error.strerror} ({error.filename}); it is unfinished: "
            "mend this and run the same command again"
        ) from None
    write_manifest(manifest, folder)
    return manifest


def require_project(root: Path) -> None:
    """Raise UserError unless there is a project in ``root``."""
    if not (root / "params.yaml").is_file():
        raise UserError(f"{root}: expected a project, found no params.yaml; run this in the project's folder")


def check_target(root: Path, folder: Path) -> None:
    """Raise UserError unless the folder lies outside the project and is new, empty, or an unfinished backup."""
    if folder.resolve().is_relative_to(root.resolve()):
        raise UserError(f"{folder}: expected a folder outside the project, found one inside, which is lost with it")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: expected a new or empty folder, found a file; name another")
    if not folder.exists() or (folder / UNFINISHED).exists() or not any(folder.iterdir()):
        return
    found = f"{len(list(folder.iterdir()))} entries that are no backup"
    if (folder / MANIFEST).exists():
        found = f"the backup of {read_manifest(folder).made_at}"
    raise UserError(f"{folder}: expected a new or empty folder, found {found}; name another")


def prepare(folder: Path) -> None:
    """Make the folder, for this user only, and mark it as unfinished; what a killed backup left there is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)
        for entry in folder.iterdir():
            if entry.name != UNFINISHED:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        (folder / UNFINISHED).touch()
    except OSError as error:
        raise UserError(f"{folder}: expected a folder to write to, found: {error.strerror}; name another") from None


def check_space(root: Path, folder: Path, places: DvcPlaces, skipped: set[str]) -> None:
    """Raise UserError if the files do not fit beside what is there. Objects in cache and remote count once."""
    needed = total_size(root, list_tree(root, "", skipped).files) + total_size(root, [DATABASE])
    sizes: dict[str, int] = {}
    for home in filter(None, (places.cache, places.remote)):
        names = list_tree(home, "", set()).files
        sizes |= {name: total_size(home, [name]) for name in names}
    needed = int((needed + sum(sizes.values())) * SPARE)
    existing = next(parent for parent in (folder.resolve(), *folder.resolve().parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise UserError(
            f"{folder}: expected {needed >> 20} MiB of free space, found {free >> 20} MiB; name a folder on another "
            "disk, or see `gleaner prune --dry-run`"
        )


def skipped_paths(root: Path, places: DvcPlaces) -> set[str]:
    """The paths that the copy of the project's files leaves out, relative to the project.

    They are copied in another way, made anew, or held by DVC's cache: then `gleaner restore` takes them from there.
    """
    skipped = set(SKIPPED_PATHS | DATABASE_FILES)
    for home in filter(None, (places.cache, places.remote)):
        if home.is_relative_to(root.resolve()):
            skipped.add(home.relative_to(root.resolve()).as_posix())
    if places.cache is None or not (root / "dvc.lock").is_file():
        return skipped
    with open_dvc_store(root) as store:
        for path, out in outputs(read_yaml(root / "dvc.lock")).items():
            files = store.files(out) if out.get("md5") else None
            if files is not None and all(map(store.cached, files.values())):
                skipped.add(path)
    return skipped


def copy_store(root: Path, folder: Path, manifest: Manifest) -> None:
    """Copy MLflow's database, if the project has one, and enter what a server keeps."""
    uri = environ.get("MLFLOW_TRACKING_URI")
    if uri and uri != f"sqlite:///{root / DATABASE}":
        manifest.left.append(f"MLflow: {hide_passwords(uri)} keeps runs and versions, and whoever runs it backs it up")
    if (root / DATABASE).is_file():
        manifest.files[f"{PROJECT}/{DATABASE}"] = copy_database(root / DATABASE, folder / PROJECT / DATABASE)


def copy_project(root: Path, folder: Path, manifest: Manifest, places: DvcPlaces, skipped: set[str]) -> None:
    """Copy the project's files, in passes until none is new. A file that moves meanwhile is found by the next pass."""
    if (root / ".prefect").exists():
        manifest.left.append(PREFECT_LINE)
    for _ in range(PASSES):
        tree = list_tree(root, "", skipped, places.cache)
        names = [name for name in in_order(root, tree) if not name.endswith(".part")]  # half written
        new = [name for name in names if f"{PROJECT}/{name}" not in manifest.files]
        for name in new:
            with suppress(FileNotFoundError):  # it was moved or removed since it was listed
                manifest.files[f"{PROJECT}/{name}"] = copy_file(root / name, folder / PROJECT / name)
        manifest.folders, manifest.links = tree.folders, tree.links
        if not new:
            break
    outside = [name for name in manifest.links if not (root / name).resolve().is_relative_to(root.resolve())]
    manifest.left += [f"{name}: a link that leads out of the project; only the link is kept" for name in outside]
    manifest.left += [
        f"{key}: {path} lies outside the project; back it up with its owner"
        for key, path in outside_inputs(root).items()
    ]


def in_order(root: Path, tree: Tree) -> list[str]:
    """The files in the order that keeps the copy consistent: artifacts, inboxes, the rest, arrivals."""
    sections = read_sections(root)
    inboxes = (sections.get("refresh", {}).get("inbox"), sections.get("feedback", {}).get("path"))
    first = tuple(f"{path.rstrip('/')}" for path in ("mlruns", *filter(None, inboxes)))
    last = str(sections.get("ingest", {}).get("arrivals", "arrivals")).rstrip("/")

    def rank(name: str) -> int:
        for place, path in enumerate(first):
            if name == path or name.startswith(f"{path}/"):
                return place
        return len(first) + int(name.startswith(f"{last}/"))

    return sorted(tree.files, key=rank)


def outside_inputs(root: Path) -> dict[str, str]:
    """The inputs that params.yaml names and that lie outside the project: path by key."""
    sections = read_sections(root)
    named = {
        "ingest.path": sections.get("ingest", {}).get("path"),
        "ingest.arrivals": sections.get("ingest", {}).get("arrivals"),
        "refresh.inbox": sections.get("refresh", {}).get("inbox"),
        "feedback.path": sections.get("feedback", {}).get("path"),
    }
    home = root.resolve()
    return {key: path for key, path in named.items() if path and not (home / path).resolve().is_relative_to(home)}


def read_sections(root: Path) -> dict[str, dict[str, str]]:
    """The sections of params.yaml; none if it cannot be read, because a backup has to work then, too."""
    try:
        content = read_yaml(root / "params.yaml")
    except UserError:
        return {}
    return {key: value for key, value in content.items() if isinstance(value, dict)}


def copy_dvc(root: Path, folder: Path, manifest: Manifest, places: DvcPlaces) -> None:
    """Copy DVC's cache and the default remote. Content that both have takes space once."""
    home = root.resolve()
    if places.elsewhere:
        manifest.left.append(f"DVC remote: {places.elsewhere} keeps its content, and whoever runs it backs it up")
    cache = places.cache
    if cache is not None and not cache.is_relative_to(home):
        manifest.left.append(f"DVC cache: {cache} lies outside the project; back it up with its owner")
        cache = None
    kept = f"{PROJECT}/{cache.relative_to(home).as_posix()}" if cache is not None else ""
    for name in list_tree(cache, "", set()).files if cache is not None and cache.exists() else []:
        with suppress(FileNotFoundError):
            manifest.files[f"{kept}/{name}"] = copy_file(cache / name, folder / kept / name)
    if places.remote is None or not places.remote.exists():
        return
    is_inside = places.remote.is_relative_to(home)
    place = f"{PROJECT}/{places.remote.relative_to(home).as_posix()}" if is_inside else REMOTE
    manifest.remote = "" if is_inside else str(places.remote)
    for name in list_tree(places.remote, "", set()).files:
        source, target, twin = places.remote / name, folder / place / name, f"{kept}/{name}"
        with suppress(FileNotFoundError):
            if twin in manifest.files:
                done = copy_or_link(source, target, folder / twin, manifest.files[twin][0])
            else:
                done = copy_file(source, target)
            manifest.files[f"{place}/{name}"] = done
