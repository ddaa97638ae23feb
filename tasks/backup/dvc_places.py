"""Where DVC keeps content of a project: its cache and its default remote."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.secrets import hide_passwords
from tasks.dvc.store import DvcStore, open_dvc_store

OBJECTS = ("files", "md5")  # below a cache or a remote


@dataclass(frozen=True)
class DvcPlaces:
    """The folders of cache and default remote; ``elsewhere`` says in words what is no folder of this machine."""

    cache: Path | None = None
    remote: Path | None = None
    elsewhere: str = ""


def find_dvc_places(root: Path) -> DvcPlaces:
    """Where DVC keeps the project's content. Raises UserError if DVC cannot read the project."""
    if not (root / ".dvc").is_dir():
        return DvcPlaces()
    with open_dvc_store(root) as store:
        cache = home_of(Path(store.repo.cache.local.path))
        remote = store.remote()
        if remote is None:
            return DvcPlaces(cache)
        if is_folder(store):
            return DvcPlaces(cache, home_of(Path(remote.path)))
        name = store.repo.config["core"]["remote"]
        return DvcPlaces(cache, None, hide_passwords(str(store.repo.config["remote"][name]["url"])))


def is_folder(store: DvcStore) -> bool:
    """Whether the default remote is a folder of this machine."""
    protocol = store.remote().fs.protocol
    return "local" in ([protocol] if isinstance(protocol, str) else list(protocol))


def home_of(objects: Path) -> Path:
    """The folder of a cache or remote, which keeps its objects in files/md5."""
    home = objects.parents[1] if objects.parts[-2:] == OBJECTS else objects
    return home.resolve()
