"""How large an input may be. A file beyond a limit is refused in one line, before it fills the memory or the night.

The limits are far above real data: 20 million rows of text are more than one machine trains on.
"""

from pipeline.core.errors import UserError

MAX_BYTES = 2**30  # of what is read as a whole, unpacked: a JSON document, a file that is not in UTF-8
MAX_STREAM_BYTES = 2**36  # of one file that is read row by row, unpacked; its texts wait on the disk
MAX_ROWS = 20_000_000  # of one file: a row takes about 150 bytes in memory, without its text
MAX_COLUMNS = 10_000  # of a header: exports have hundreds; a file on a single line has as many as it has words
MAX_LINE_CHARS = 2**26  # of one line of a stream, whose size is unknown: a longer one is no text for a classifier
MAX_QUOTED_CHARS = 2**20  # of a row over several lines: a longer one is a quote that was never closed
MAX_QUOTED_LINES = 10_000  # of such a row; a long e-mail thread has hundreds
MAX_JSON_DEPTH = 100  # levels of lists and objects in a JSON value: Python's own limit depends on the caller
# Text shrinks to a third or a tenth. What shrinks to a hundredth is one value over and over, made to fill the memory.
MAX_UNPACKING_RATIO = 100  # unpacked bytes for one packed byte
ANY_RATIO_BYTES = 2**26  # up to this size, unpacked, the ratio does not matter
MIN_PARQUET_BYTES_A_ROW = 1  # on disk; for the same reason
ANY_RATIO_ROWS = 1_000_000  # up to this number of rows, the bytes a row do not matter


def unpacked_limit(packed_bytes: int, most: int = MAX_BYTES) -> int:
    """The bytes that a file of this size on disk may hold, unpacked; never over ``most``."""
    return min(most, max(ANY_RATIO_BYTES, MAX_UNPACKING_RATIO * packed_bytes))


def check_limit(name: str, found: int, limit: int, what: str) -> None:
    """Raises UserError if a file has more of something than it may have; ``what`` names it, such as "rows"."""
    if found > limit:
        raise UserError(f"{name}: expected at most {limit:,} {what}, found {found:,}; divide or check the file")
