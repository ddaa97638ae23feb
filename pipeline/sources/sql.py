"""A database to records, by SQLAlchemy URL: one query an entry of ``ingest.train``, ``test`` and so on."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.environment_variables import expand_variables
from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.source import SPLITS, Record, Source, columns_to_read

if TYPE_CHECKING:
    import sqlalchemy as sa

ROWS_AT_ONCE = 10_000  # that the driver fetches


def read(params: Ingest, root: Path) -> list[Source]:
    """The rows of every query that params name, in the order that the query gives; they are read when iterated, once.

    A query should end with ORDER BY: drawn splits depend on the order of rows. Raises UserError if a query fails.
    """
    engine = connect(params.url or "", root)
    return [
        read_query(engine, query, f"ingest.{split}[{number}]", split, params)
        for split in SPLITS
        for number, query in enumerate(getattr(params, split))
    ]


def read_query(engine: "sa.Engine", query: str, name: str, split: str, params: Ingest) -> Source:
    """The rows of one query. Raises UserError if it fails, here or while its rows are iterated."""
    rows = query_rows(engine, query, name)
    columns = list(next(rows))
    names = [column for column in columns_to_read(params.columns) if column in columns]
    places = [columns.index(column) for column in names]

    def records() -> Iterator[Record]:
        with closing(rows):
            for number, row in enumerate(rows, start=1):
                yield Record(number, {column: row[place] for column, place in zip(names, places, strict=True)})

    return Source(name, split, columns, records())


def query_rows(engine: "sa.Engine", query: str, name: str) -> Generator[Sequence[Any]]:
    """The names of the columns, then the rows of one query, some at a time. Raises UserError if the query fails."""
    import sqlalchemy as sa

    try:
        with engine.connect() as connection:
            streaming = connection.execution_options(yield_per=ROWS_AT_ONCE)
            result = streaming.execute(sa.text(query))
            yield list(result.keys())
            yield from result
    except sa.exc.SQLAlchemyError as error:
        raise UserError(f"{name}: expected a query that runs, found {database_message(error)}; correct it") from None
    finally:
        engine.dispose()


def database_name(url: str) -> str:
    """Name of the database, without host, user and password. Raises UserError if ``url`` is no SQLAlchemy URL."""
    import sqlalchemy as sa

    return Path(parse_url(url, sa).database or url).name


def parse_url(url: str, sa: Any) -> "sa.URL":
    """The SQLAlchemy URL, with ``${VARIABLE}`` expanded; ``sa`` is the module sqlalchemy.

    Raises UserError if it is not one; the message does not quote it, because it may hold a password.
    """
    try:
        return sa.make_url(expand_variables("ingest.url", url))
    except sa.exc.ArgumentError:
        raise UserError(
            "ingest.url: expected a SQLAlchemy URL such as sqlite:///data/raw/tickets.db, found something else"
        ) from None


def connect(url: str, root: Path) -> "sa.Engine":
    """A SQLAlchemy engine; paths of SQLite files are relative to ``root``.

    Raises UserError if the SQLite file does not exist or the database driver is not installed.
    """
    import sqlalchemy as sa

    address = parse_url(url, sa)
    if address.get_backend_name() == "sqlite" and address.database:
        file = root / address.database
        if not file.exists():
            raise UserError(f"ingest.url: expected a SQLite file, found no {address.database}; correct the path")
        address = address.set(database=str(file))
    try:
        engine = sa.create_engine(address)
    except (sa.exc.NoSuchModuleError, ImportError) as error:
        raise UserError(f"ingest.url: expected an installed database driver, found {error}; install it") from None
    if address.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", keep_invalid_bytes)
    return engine


def keep_invalid_bytes(connection: Any, _record: Any) -> None:
    """Make a SQLite connection return text with invalid UTF-8 as lone surrogates, which only rejects its row.

    By default, one such text fails the whole query.
    """
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")


def database_message(error: Exception) -> str:
    """The first line of the database's message, without the statement and the parameters that SQLAlchemy adds."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
