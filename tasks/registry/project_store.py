"""The MLflow store inside the project, `mlflow.db` and `mlruns/`: opened by one process at a time, and checked.

MLflow writes absolute paths of artifacts into its database. In a project that was moved, copied or restored elsewhere,
they lead to the old place, and a copy would write into the original. They are put right whenever the store is opened.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.errors import UserError
from pipeline.core.file_permissions import wanted_umask
from pipeline.core.printable import print_note, printable
from tasks.registry.artifact_paths import move_artifact_paths

DATABASE, ARTIFACTS = "mlflow.db", "mlruns"
# Written once the store has an experiment, with the project's path. DVC keeps this folder out of git: a clone lacks it.
MARKER = Path(".dvc", "tmp", "gleaner_registry")
LOCK_TIMEOUT = 120.0  # seconds; MLflow makes the tables of a new database in about five
DEFAULT_EXPERIMENT = 0  # MLflow makes it in every store


def store_uri(root: Path) -> str:
    """The address of the store with runs and versions: MLFLOW_TRACKING_URI, or mlflow.db in the project."""
    return os.environ.get("MLFLOW_TRACKING_URI") or project_store_uri(root)


def project_store_uri(root: Path) -> str:
    """The address of mlflow.db in the project."""
    return f"sqlite:///{root / DATABASE}"


def is_in_project(root: Path) -> bool:
    """Whether the store is mlflow.db in the project, and not one that MLFLOW_TRACKING_URI names."""
    return store_uri(root) == project_store_uri(root)


@contextmanager
def opening(root: Path) -> Iterator[None]:
    """Hold the store's lock for the block, in which MLflow opens it: two that make the tables at once break them.

    Before, paths of artifacts are put right. Raises UserError if the store is lost, damaged or cannot be written.
    """
    path = root / f"{DATABASE}.lock"
    try:
        # A soft lock would stay when the process is killed; the system frees a real one.
        with FileLock(path, timeout=LOCK_TIMEOUT, fallback_to_soft=False):
            is_new = not has_experiments(root)
            if is_new:
                require_not_lost(root)
                warn_of_earlier_data(root)
            else:
                put_paths_right(root)
                write_marker(root)
            yield
    except Timeout:
        raise UserError(
            f"{path}: expected to open the registry, found it held for {LOCK_TIMEOUT:.0f} s; wait"
        ) from None


def has_experiments(root: Path) -> bool:
    """Whether the store was used: whether it has an experiment beside MLflow's default one.

    Raises UserError if the file is no database.
    """
    database = root / DATABASE
    if not database.exists():
        return False
    try:
        with closing(sqlite3.connect(database, timeout=LOCK_TIMEOUT)) as connection:
            if "experiments" not in table_names(connection):
                return False
            query = "SELECT count(*) FROM experiments WHERE experiment_id != ?"
            return bool(connection.execute(query, [DEFAULT_EXPERIMENT]).fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise database_error(database, error) from None


def database_error(database: Path, error: sqlite3.DatabaseError) -> UserError:
    """What SQLite says about a database that cannot be used, and what to do."""
    return UserError(
        f"{database}: expected MLflow's database, readable and writable, found: {error}; restore {DATABASE} from a "
        "backup, correct its permissions, or free it if another program holds it"
    )


def table_names(connection: sqlite3.Connection) -> set[str]:
    """The names of the database's tables."""
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def require_not_lost(root: Path) -> None:
    """Raise UserError if there are traces of versions that the store, missing or empty, does not know.

    Otherwise another version 1 would silently become champion.
    """
    if has_experiments(root) or not (traces := list_traces(root)):
        return
    found = "an empty one" if (root / DATABASE).exists() else "none"
    raise UserError(
        f"{root / DATABASE}: expected the registry that {' and '.join(traces)} belong to, found {found}; restore "
        f"{DATABASE} and {ARTIFACTS}/ from a backup, or set MLFLOW_TRACKING_URI to where it is; to begin another one "
        f"with version 1, remove {' and '.join(traces)}"
    )


def list_traces(root: Path) -> list[str]:
    """What a store in this folder has left behind, as paths in the project."""
    traces = [f"{ARTIFACTS}/"] if any((root / ARTIFACTS).glob("*/*/*")) else []
    marker = root / MARKER
    if marker.exists() and marker.read_text(errors="replace").strip() == str(root.resolve()):
        traces.append(MARKER.as_posix())
    return traces


def warn_of_earlier_data(root: Path) -> None:
    """Say on stderr that a registry begins beside arrivals or pushed data, which a fresh clone may have, too."""
    signs = {"arrivals": "*.parquet*", "dvc-storage": "files/md5/*/*"}
    there = [f"{folder}/" for folder, pattern in signs.items() if any((root / folder).glob(pattern))]
    if there:
        print_note(
            f"warning: {DATABASE}: a registry begins here with version 1, though there is data in "
            f"{' and '.join(there)}; if another registry has versions of it, stop, and restore its {DATABASE} and "
            f"{ARTIFACTS}/ or set MLFLOW_TRACKING_URI"
        )


def artifact_folder(root: Path, experiment: str) -> Path:
    """The folder for the artifacts of an experiment. Raises UserError if its name leads out of `mlruns/`."""
    home = (root / ARTIFACTS).resolve()
    folder = Path(os.path.normpath(home / experiment))
    if folder == home or not folder.is_relative_to(home):
        raise UserError(
            f"registry.experiment: expected a name that is no path out of {ARTIFACTS}/, found {printable(experiment)}; "
            "choose a plain name"
        )
    return root / ARTIFACTS / experiment


def make_artifacts_folder(root: Path) -> None:
    """Make `mlruns/` for its owner, or whom GLEANER_UMASK admits, also where another thread has the umask at 0."""
    (root / ARTIFACTS).mkdir(mode=0o777 & ~wanted_umask(), exist_ok=True)


def write_marker(root: Path) -> None:
    """Note that this folder has a store, so that its loss is noticed."""
    if (root / ".dvc").is_dir():
        (root / MARKER).parent.mkdir(exist_ok=True)
        (root / MARKER).write_text(f"{root.resolve()}\n")


def put_paths_right(root: Path) -> None:
    """Let all paths of artifacts in the database that lead to the project's former place lead to this one.

    One line on stderr tells it. Raises UserError if the database cannot be written.
    """
    try:
        former = former_roots(root)
        changed = sum(move_artifact_paths(root / DATABASE, place, root) for place in former)
    except sqlite3.DatabaseError as error:
        raise database_error(root / DATABASE, error) from None
    if not former:
        return
    places = ", ".join(printable(str(place)) for place in former)
    print_note(f"{DATABASE}: the project was in {places} before; {changed} paths of artifacts lead to this folder now")


def former_roots(root: Path) -> list[Path]:
    """The folders, other than ``root``, that the project's experiments say it is in."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    query = "SELECT name, artifact_location FROM experiments WHERE experiment_id != ?"
    with closing(sqlite3.connect(root / DATABASE, timeout=LOCK_TIMEOUT)) as connection:
        experiments = connection.execute(query, [DEFAULT_EXPERIMENT]).fetchall()
    places = set()
    for name, location in experiments:
        if not location or not location.startswith("file:"):
            continue
        path, inside = Path(local_file_uri_to_path(location)), Path(ARTIFACTS, name)
        if path.parts[-len(inside.parts) :] != inside.parts:
            continue
        place = path.parents[len(inside.parts) - 1]
        if place.resolve() != root.resolve() and belongs_here(place, root, inside):
            places.add(place)
    return sorted(places)


def belongs_here(place: Path, root: Path, inside: Path) -> bool:
    """Whether artifacts at ``place`` are those of this project's former folder or of the project it was copied from.

    Otherwise the user keeps them there on purpose.
    """
    return (root / inside).exists() or (place / DATABASE).exists() or not (place / inside).exists()
