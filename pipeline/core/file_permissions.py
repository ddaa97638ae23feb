"""Who may read what Gleaner writes: tables, caches, logs and databases hold texts of people, so only their owner."""

import os

from pipeline.core.errors import UserError

UMASK_VARIABLE = "GLEANER_UMASK"
OWNER_ONLY = "077"


def restrict_new_files() -> None:
    """Let only the owner read what this process and its children write, or whom GLEANER_UMASK admits.

    Raises UserError if that variable is no umask.
    """
    os.umask(wanted_umask())


def wanted_umask() -> int:
    """The umask that GLEANER_UMASK names, by default 077. Raises UserError if that variable is no umask.

    Give it to each child process that is started beside other threads: DVC sets the umask to 0 for a moment whenever it
    asks what it is, and a child that starts in that moment would keep it.
    """
    umask = os.environ.get(UMASK_VARIABLE, OWNER_ONLY)
    try:
        number = int(umask, 8)
    except ValueError:
        number = -1
    if not 0 <= number <= 0o077:
        raise UserError(
            f"{UMASK_VARIABLE}: expected a umask from 000 to 077, such as 027 for a group that shares the project, "
            f'found "{umask}"'
        )
    return number
