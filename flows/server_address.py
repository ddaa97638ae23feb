"""Where a project's Prefect server is, its password, and whether what answers at an address is Prefect's.

This module imports no Prefect: Prefect reads its settings once, on import, so the environment must be set before.
"""

import base64
import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

NO_SERVER = "no server"
ANOTHER_SERVER = "a server that is not Prefect's"
TIMEOUT = 10.0  # seconds for an answer; a busy machine takes its time
SILENT = f"no answer in {TIMEOUT:.0f} seconds"
LISTENING = "0A"  # the state of a socket in /proc/net/tcp
CLOUD = "prefect.cloud"  # it has no /admin/version


@dataclass(frozen=True)
class ServerAddress:
    """The address of a server's API, and ``user:password`` for it; None where it asks for none."""

    url: str
    credentials: str | None


def new_credentials() -> str:
    """A user name and a random password, as ``user:password``."""
    return f"gleaner:{secrets.token_urlsafe(24)}"


def announce(home: Path, server: ServerAddress) -> None:
    """Leave the address and the password of a server in Prefect's home, where other commands find them."""
    home.mkdir(parents=True, exist_ok=True)
    write_secret(auth_file(home), server.credentials or "")
    url_file(home).write_text(server.url)


def withdraw_announcement(home: Path) -> None:
    """Remove the address and the password of a server that is gone."""
    url_file(home).unlink(missing_ok=True)
    auth_file(home).unlink(missing_ok=True)


def announced_server(home: Path) -> ServerAddress | None:
    """The server that `gleaner ui` or `gleaner schedule` started; None where there is none.

    A run that uses it shows up in the pages that are open.
    """
    with suppress(FileNotFoundError, UnicodeDecodeError):
        url = url_file(home).read_text().strip()
        credentials = auth_file(home).read_text().strip() if auth_file(home).is_file() else ""
        return ServerAddress(url, credentials or None) if url else None
    return None


def write_secret(path: Path, content: str) -> None:
    """Write a file that only this user can read."""
    path.unlink(missing_ok=True)  # an older file would keep its mode
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)


def url_file(home: Path) -> Path:
    """The file in which `gleaner ui` leaves the address of its server."""
    return home / "server.url"


def auth_file(home: Path) -> Path:
    """The file in which `gleaner ui` leaves user name and password of its Prefect server."""
    return home / "server.auth"


def is_answering(url: str, credentials: str | None = None) -> bool:
    """Whether a Prefect API answers at ``url`` and takes these credentials."""
    return server_fault(ServerAddress(url, credentials)) is None


def server_fault(server: ServerAddress) -> str | None:
    """What is found in place of a Prefect API that takes the credentials; None where there is one."""
    try:
        if ask(server, "/health", with_credentials=False) is not True:
            return ANOTHER_SERVER
        if (urlsplit(server.url).hostname or "").endswith(CLOUD):
            return None
        version = ask(server, "/admin/version")
    except HTTPError as error:
        return f"HTTP {error.code}"
    except TimeoutError:
        return SILENT
    except URLError as error:
        return SILENT if isinstance(error.reason, TimeoutError) else NO_SERVER
    except (OSError, HTTPException):
        return NO_SERVER
    except ValueError:  # no JSON, or no address
        return ANOTHER_SERVER
    return None if isinstance(version, str) and re.match(r"\d+\.\d+", version) else ANOTHER_SERVER


def is_of_this_user(url: str) -> bool:
    """Whether a process of this user listens at a port of loopback; true where the system does not tell.

    A port that a dead server has left may be taken by another user, who would get the password and send work.
    """
    try:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        ending = f":{urlsplit(url).port or 80:04X}"
    except (OSError, ValueError):
        return True
    owners = {int(row[7]) for row in rows if row[3] == LISTENING and row[1].endswith(ending)}
    return owners <= {os.getuid()}


def ask(server: ServerAddress, path: str, with_credentials: bool = True) -> object:
    """The JSON that a server answers at a path of its API.

    Raises HTTPError, URLError or OSError where there is no answer, ValueError where it is no JSON.
    """
    request = Request(server.url.rstrip("/") + path)
    if with_credentials and server.credentials:
        request.add_header("Authorization", f"Basic {base64.b64encode(server.credentials.encode()).decode()}")
    elif with_credentials and (key := os.environ.get("PREFECT_API_KEY")):
        request.add_header("Authorization", f"Bearer {key}")
    with build_opener().open(request, timeout=TIMEOUT) as answer:  # urlopen keeps the proxies of its first call
        return json.loads(answer.read(1000))
