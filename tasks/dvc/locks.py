"""DVC's locks: one on the project, held for moments, and a list of the files that running commands read and write.

DVC removes an entry of that list only if no process has its number. After a kill, the number may be another program's,
and the files would stay in use for ever.
"""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dvc.repo import Repo

PAUSE = 1.0  # seconds between two looks at a lock that another process holds
LOG = logging.getLogger(__name__)

Entry = dict[str, Any]  # "pid" and "cmd", the command as DVC saw it


def clear_stale_entries(repo: "Repo") -> dict[str, dict[str, Any]]:
    """The list of files in use, by kind and file, of processes that run; entries of others are removed from it.

    The whole list is removed if it is torn.
    """
    path = users_file(repo)
    if not path.is_file():
        return {}
    with lock_of_kind(repo, f"{path}.lock", wait=True):
        try:
            listed: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
            written = path.stat().st_mtime
            kept = {mode: keep_live(entries, written) for mode, entries in listed.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, AttributeError, KeyError, TypeError):
            LOG.warning("%s was torn by a process that was killed; removed, which unlocks its files", path)
            path.unlink()
            return {}
        if kept != listed:
            LOG.warning("%s named processes that ended; removed, which unlocks their files", path)
            path.write_text(json.dumps(kept), encoding="utf-8")
        return kept


def keep_live(entries: dict[str, Any], written: float) -> dict[str, Any]:
    """The entries of one kind whose processes still run: a list of readers, or one writer, by file."""
    kept: dict[str, Any] = {}
    for file, users in entries.items():
        if isinstance(users, list):
            if live := [user for user in users if is_live(user, written)]:
                kept[file] = live
        elif is_live(users, written):
            kept[file] = users
    return kept


def is_live(entry: Entry, written: float) -> bool:
    """Whether the process of an entry still runs; ``written`` is when the list was last changed, in Unix time.

    A process that began later, or runs another command, only has the number of the one that ended.
    """
    import psutil

    if entry["pid"] == os.getpid():  # another thread of this process, which may have replaced its command line
        return str(entry["cmd"]) == " ".join(sys.argv)
    try:
        process = psutil.Process(int(entry["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + 1:
            return False
        running = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    # `python -m dvc ...` has the path of a file in place of "-m dvc" in the entry, so only the words after it count.
    program, _, words = str(entry["cmd"]).partition(" ")
    return running.endswith(words) if words else Path(program).name in running or "-m" in running


def users_file(repo: "Repo") -> Path:
    """The file in which DVC lists the files that commands read and write."""
    return Path(str(repo.tmp_dir)) / "rwlock"


def lock_of_kind(repo: "Repo", path: str, wait: bool = False) -> Any:
    """A lock on ``path`` of the kind that DVC uses in this project; without ``wait`` it is tried for three seconds."""
    from dvc.lock import make_lock

    hardlink = repo.config["core"].get("hardlink_lock", False)
    return make_lock(path, tmp_dir=repo.tmp_dir, hardlink_lock=hardlink, wait=wait)


def users_of_files(repo: "Repo") -> list[Entry]:
    """The entries of other live processes in the list of files in use."""
    listed = clear_stale_entries(repo).values()
    users = [user for entries in listed for each in entries.values() for user in as_list(each)]
    return [user for user in users if user["pid"] != os.getpid()]


def as_list(users: Any) -> list[Entry]:
    """The readers or the one writer of a file as a list."""
    return users if isinstance(users, list) else [users]


def wait_for_project_lock(repo: "Repo") -> None:
    """Return once no other process holds DVC's lock on the project; a wait of over three seconds is logged."""
    from dvc.lock import LockError

    path = Path(repo.lock.lockfile)
    said = False
    while path.exists():
        lock = lock_of_kind(repo, str(path))
        try:
            lock.lock()
            lock.unlock()
            return
        except LockError:
            if not said:
                holder = " ".join(path.read_text(errors="replace").split()) or "that is not known"
                LOG.warning("waiting for DVC's lock %s, which process %s holds", path, holder)
            said = True
            time.sleep(PAUSE)


def busy_message(repo: "Repo") -> str:
    """The message of an error if another command works on files that are needed."""
    users = {f"`{user['cmd']}` (process {user['pid']})" for user in users_of_files(repo)}
    named = ", ".join(sorted(users)) or "another command"
    return f"expected files that no other command uses, found {named}; run again when it has ended"
