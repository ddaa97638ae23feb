"""The exception for a fault that the user can mend: one line, exit code 2, no traceback."""


class UserError(Exception):
    """What was expected, what was found, and what to do about it, in one line.

    The message names the file and row, or the YAML key, that the user must change. It never quotes
    the text of a row: rows are named by their id.
    """


class WithheldError(RuntimeError):
    """A crash whose message may quote a row: this message names the type and the file that holds the whole of it."""


def combine_errors(messages: list[str]) -> UserError:
    """One error with a line for each message, so that the user fixes all faults in one go."""
    return UserError("\n".join(messages))
