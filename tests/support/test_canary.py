"""The search for leaked texts finds them in every kind of file; tests/flows/test_whole_flow.py applies it to a run."""

import gzip
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from tests.support.canary import find_words


@pytest.mark.parametrize("packed", ["plain.txt", "table.parquet", "a.gz", "a.zip", "a.db"])
def test_a_word_is_found_however_it_is_packed(tmp_path: Path, packed: str) -> None:
    path, text = tmp_path / packed, "x" * 6000 + " vireotrain " + "y" * 6000
    if packed.endswith(".parquet"):
        pd.DataFrame({"text": [text] * 2}).to_parquet(path, compression="zstd")
    elif packed.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif packed.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("member", text)
    elif packed.endswith(".db"):
        with closing(sqlite3.connect(path)) as database:
            database.execute("CREATE TABLE log (message TEXT)")
            database.execute("INSERT INTO log VALUES (?)", (text,))
            database.commit()
    else:
        path.write_text(text)
    assert find_words(("vireotrain", "vireopool"), [path]) == {"vireotrain": {path.as_posix()}, "vireopool": set()}
