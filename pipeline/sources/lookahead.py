"""Lines of a stream that can be looked at before they are taken."""

from collections.abc import Iterable, Iterator

KEPT = 10_000  # taken lines that may stay in memory before they are dropped


class Lookahead:
    """An iterator of lines, of which those that follow can be seen without taking them."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.number = 0  # of the line taken last, from 1; 0 before the first
        self._rest = iter(lines)
        self._seen: list[str] = []
        self._next = 0

    def take(self) -> str | None:
        """The next line; None at the end."""
        if self._next == len(self._seen):
            self._seen, self._next = [], 0
            line = next(self._rest, None)
            if line is None:
                return None
            self.number += 1
            return line
        self._next += 1
        self.number += 1
        line = self._seen[self._next - 1]
        if self._next > KEPT:
            del self._seen[: self._next]
            self._next = 0
        return line

    def following(self) -> Iterator[str]:
        """The lines after the one taken last. Do not take any while this runs."""
        position = self._next
        while True:
            if position == len(self._seen):
                line = next(self._rest, None)
                if line is None:
                    return
                self._seen.append(line)
            yield self._seen[position]
            position += 1

    def skip_blank_lines(self) -> None:
        """Take the blank lines that come next."""
        while (line := next(self.following(), None)) is not None and not line.strip():
            self.take()
