"""A disk, a folder or a link that fails, in words: what was found, and what to do."""

import errno
import os
import re
from pathlib import Path

NO_SPACE = "no space left on the disk; free some (`gleaner prune` removes what nothing needs), then run again"
CAUSES = {
    errno.ENOSPC: NO_SPACE,
    errno.EDQUOT: "no space left in this user's quota; free some, then run again",
    errno.EFBIG: "a file larger than the system allows; raise the limit (`ulimit -f`), then run again",
    errno.EROFS: "a disk that can only be read; mount it for writing, or move the project",
    errno.EACCES: "no permission; give this user the right to read and write it (`chmod`, `chown`)",
    errno.EPERM: "no permission; give this user the right to read and write it (`chmod`, `chown`)",
    errno.EIO: "a disk that fails; copy the project to another one",
    errno.EMFILE: "too many open files; raise the limit (`ulimit -n`), then run again",
    errno.ELOOP: "a link that leads back to itself; remove it",
}
FULL_DISK = re.compile(r"no space left on device|database or disk is full|disk quota exceeded", re.IGNORECASE)
SYSTEM_ERROR = re.compile(r"\[Errno (\d+)\] [^:'\"\n]*(?:: ['\"]([^'\"\n]+)['\"])?")


def explain_disk_error(error: BaseException) -> str | None:
    """One line on a disk, a folder or a link that failed; None for any other error."""
    if isinstance(error, OSError) and error.errno is not None:
        return explain_errno(error.errno, error.filename if isinstance(error.filename, str) else None)
    # Libraries that write by themselves pass the system's message on in an error of their own.
    return f"expected to write a file, found {NO_SPACE}" if FULL_DISK.search(str(error)) else None


def explain_disk_message(text: str) -> str | None:
    """One line on a disk, a folder or a link that failed, from the message of a command; None for any other message."""
    for number, name in SYSTEM_ERROR.findall(text):
        if explanation := explain_errno(int(number), name or None):
            return explanation
    return f"expected to write a file, found {NO_SPACE}" if FULL_DISK.search(text) else None


def explain_errno(number: int, name: str | None) -> str | None:
    """One line on an error number of the system about the file ``name``; None if it is about no disk or link."""
    if name is not None and (link := dangling_link(Path(name))) is not None:
        return (
            f"expected {link} to lead somewhere, found a link to {os.readlink(link)}, which does not exist; bring that "
            "back, or remove the link"
        )
    if number not in CAUSES:
        return None
    return f"expected to use {name or 'a file'}, found {CAUSES[number]}"


def dangling_link(path: Path) -> Path | None:
    """The link on the way to ``path``, or ``path`` itself, that leads nowhere; None if there is none."""
    return next((part for part in (path, *path.parents) if part.is_symlink() and not part.exists()), None)
