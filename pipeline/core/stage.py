"""What every stage shares: where its files are, how it starts, how it ends, and how it writes files."""

import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from threading import Event, Thread
from typing import Any, TypeVar

from pipeline.core.disk_errors import explain_disk_error
from pipeline.core.errors import UserError, WithheldError
from pipeline.core.file_permissions import restrict_new_files
from pipeline.core.installed import require_pinned_code
from pipeline.core.params import load_params
from pipeline.core.printable import printable_lines

Metrics = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Paths:
    """Folders of the stages below the project's root."""

    root: Path

    def data(self, stage: str) -> Path:
        """``data/<stage>``: the outputs of a stage, owned by DVC."""
        return self.root / "data" / stage

    def scratch(self, stage: str) -> Path:
        """``data/scratch/<stage>``: checkpoints and caches that outlive a killed run; never an output."""
        return self.root / "data" / "scratch" / stage


def main(run: Callable[..., Metrics], *shared: str) -> None:
    """Run the stage that this process was started for, with the section of params.yaml that has the stage's name.

    ``shared`` names further sections that the stage reads, e.g. ``encoder``. ``run`` gets the stage's section first,
    then these, then the paths. A UserError ends as one line on stderr and exit code 2, and so does a full disk. Any
    other error ends as `report_crash` describes, with exit code 1.

    Raises SystemExit when the stage fails.
    """
    # Waiting threads of torch spin, which takes the cores from other processes. With long spins two trainings at a time
    # ran three times slower than with short ones; a single training is as fast either way (benchmarks/LOG.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    module = sys.modules["__main__"].__spec__.name  # type: ignore[union-attr]
    stage = module.removeprefix("pipeline.stages.").split(".")[0]
    paths = Paths(Path.cwd())
    try:
        restrict_new_files()
        params = load_params(paths.root / "params.yaml")
        require_pinned_code(paths.root, stage)
        out = paths.data(stage)
        out.mkdir(parents=True, exist_ok=True)
        # The metrics are written last: where they are, the other outputs are complete.
        (out / "metrics.json").unlink(missing_ok=True)
        metrics = run(*(getattr(params, name) for name in (stage, *shared)), paths)
        write_json(metrics, out / "metrics.json")
    except UserError as error:
        print(f"error: {printable_lines(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except Exception as error:  # noqa: BLE001  any message may quote a row
        if (explanation := explain_disk_error(error)) is not None:
            print(f"error: {stage}: {explanation}", file=sys.stderr)
            raise SystemExit(2) from None
        report_crash(error, paths.scratch(stage) / "crash.txt")
        raise SystemExit(1) from None


def report_crash(error: Exception, path: Path) -> None:
    """Print where an error came from on stderr, with no more of its message than `describe_crash` gives."""
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(error.__traceback__)]
    print("".join(lines) + describe_crash(error, path), file=sys.stderr)


def describe_crash(error: Exception, path: Path) -> str:
    """The type of an error, and the path of the file with its whole message, which stays on this machine.

    Everything that stages and flows print is stored in Prefect's database, and libraries quote the value that they
    reject: in ``could not convert string to float: '...'`` the dots are a row's text. Errors of the operating system,
    of memory and of imports quote no rows, so their message is a part of the description.
    """
    message = "".join(traceback.format_exception(error))

    def write(part: Path) -> None:
        part.touch(0o600)
        part.write_text(message, errors="backslashreplace")

    try:
        write_atomically(path, write)
    except OSError as failure:  # a full disk
        with suppress(OSError):
            path.unlink(missing_ok=True)  # it would pass for this crash's
        return f"{type(error).__name__}: its message is not kept, because {path} cannot be written: {failure.strerror}"
    quotes_no_row = isinstance(error, OSError | MemoryError | ImportError)
    if quotes_no_row:
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}; its message may quote a row, so it is in {path}"


@contextmanager
def withhold_message(path: Path) -> Iterator[None]:
    """Replace the message of any error but a UserError by that of `describe_crash`, in a block that handles texts.

    Raises WithheldError in place of such an error.
    """
    try:
        yield
    except (UserError, WithheldError):
        raise
    except Exception as error:  # noqa: BLE001  any message may quote a row
        raise WithheldError(describe_crash(error, path)).with_traceback(error.__traceback__) from None


def write_json(content: Any, path: Path) -> None:
    """Write a JSON file, whole or not at all."""
    write_atomically(path, lambda part: part.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n"))


def read_json(path: Path) -> Any:
    """Read a JSON file that an earlier stage wrote. Raises UserError if there is no such file."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(
            f"{path}: expected the output of an earlier stage, found no such file; run `dvc repro`"
        ) from None


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a temporary file or folder beside ``path``, then rename it to ``path``.

    A half-written file thus never has the final name. The temporary name holds the process id, because two processes
    may write the same file at once; files that dead processes left are removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):
        if left == part or not is_running(int(left.name.split(".")[-2])):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    write(part)
    if path.is_dir():
        old = path.with_name(f".{path.name}.old.{os.getpid()}.part")
        os.rename(path, old)  # quicker than to remove it: readers find the one or the other
        os.replace(part, path)
        shutil.rmtree(old)
    else:
        os.replace(part, path)


def is_running(process_id: int) -> bool:
    """Whether a process has this id."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def progress(items: Iterable[T], description: str, total: int | None = None) -> Iterator[T]:
    """The items, with one progress line: a bar in a terminal, a line every few seconds in a log."""
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty()
    return iter(
        tqdm(
            items,
            desc=description,
            total=total,
            mininterval=0.1 if in_terminal else 5,
            bar_format=None if in_terminal else "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}]\n",
            leave=in_terminal,
        )
    )


@contextmanager
def waiting(description: str) -> Iterator[None]:
    """One progress line for a block that cannot say how far it is: its name and for how long it has run.

    The line is rewritten each second in a terminal; in a log it comes once, and again every few seconds.
    """
    from tqdm import tqdm

    in_terminal = sys.stderr.isatty()
    line = tqdm(bar_format="{desc} [{elapsed}]" + ("" if in_terminal else "\n"), desc=description)
    ended = Event()

    def tick() -> None:
        while not ended.wait(1 if in_terminal else 10):
            line.refresh()

    ticker = Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    finally:
        ended.set()
        ticker.join()
        line.close()
