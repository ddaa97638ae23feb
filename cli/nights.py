"""The command `gleaner nights`: print what each night decided, and why."""

from pathlib import Path

from flows.outcomes.night import print_nights, read_nights
from flows.outcomes.promotion import print_waiting
from flows.prefect_server import configure_environment


def main(root: Path) -> int:
    """Print the history of all nights, and which versions wait for approval; exit code 0, or 2 on a user error."""
    configure_environment(root)
    print_nights(read_nights(root))
    print_waiting(root)
    return 0
