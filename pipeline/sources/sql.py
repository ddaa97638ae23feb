"""A database by SQLAlchemy URL: one query per entry of ``ingest.train`` and its sisters."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import UserError
from pipeline.core.params import Ingest
from pipeline.sources.source import SPLITS, Record, Source, wanted

if TYPE_CHECKING:
    import sqlalchemy as sa


def read(params: Ingest, root: Path) -> list[Source]:
    """The rows of every query, in the order that the query gives: end it with ORDER BY, or ids of splits may drift."""
    import sqlalchemy as sa

    engine = connect(params.url or "", root)
    sources = []
    for split in SPLITS:
        for number, query in enumerate(getattr(params, split)):
            name = f"ingest.{split}[{number}]"
            try:
                with engine.connect() as connection:
                    result = connection.execute(sa.text(query))
                    columns = list(result.keys())
                    rows = result.mappings().all()
            except sa.exc.SQLAlchemyError as error:
                raise UserError(f"{name}: expected a query that runs, found {cause(error)}; correct it") from None
            names = [column for column in wanted(params.columns) if column in columns]
            records = [Record(i, {column: row[column] for column in names}) for i, row in enumerate(rows, start=1)]
            sources.append(Source(name, split, columns, records))
    engine.dispose()
    return sources


def expand(url: str) -> str:
    """The URL with each ${VARIABLE} taken from the environment, so that no password stands in params.yaml."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise UserError(f"ingest.url: expected the environment variable {match[1]}, found none; set it")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, url)


def name_of(url: str) -> str:
    """What the rows' ids are derived from: the database's name, without host, user and password."""
    import sqlalchemy as sa

    return Path(parse(url, sa).database or url).name


def parse(url: str, sa: Any) -> "sa.URL":
    """The expanded URL; UserError never quotes it, as it may hold a password."""
    try:
        return sa.make_url(expand(url))
    except sa.exc.ArgumentError:
        raise UserError(
            "ingest.url: expected a SQLAlchemy URL such as sqlite:///data/raw/tickets.db, found something else"
        ) from None


def connect(url: str, root: Path) -> "sa.Engine":
    """An engine; SQLite files are looked up below the project's root and text that is not UTF-8 is let through."""
    import sqlalchemy as sa

    address = parse(url, sa)
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
        sa.event.listen(engine, "connect", let_bytes_through)
    return engine


def let_bytes_through(connection: Any, _record: Any) -> None:
    """Without this, one text that is not UTF-8 ends the whole query; with it, only its row is set aside."""
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")


def cause(error: Exception) -> str:
    """The database's own message, first line only: SQLAlchemy's adds the statement and its parameters."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
