"""Each file is read in its own encoding, and each line where a file holds two."""

from pathlib import Path

import pytest

from pipeline.sources.decoding import decode
from tests.support.ingesting import ingest, output, rejected, write

TEST = "text,label\nis my parcel lost,where\nplease cancel the order,stop\n"
FRENCH = ["Très déçu par la qualité", "Ma carte a été refusée à l'étranger", "colis arrivé abîmé", "où est-il passé"]


def csv_bytes(texts: list[str], encodings: list[str]) -> bytes:
    """A CSV file whose rows are in these encodings, in turn."""
    rows = [f"{text},{i % 2}\n".encode(encodings[i % len(encodings)]) for i, text in enumerate(texts)]
    return b"text,label\n" + b"".join(rows)


def test_each_file_of_a_folder_has_its_own_encoding(tmp_path: Path) -> None:
    write(
        tmp_path,
        a__csv=csv_bytes(FRENCH[:2], ["utf-8"]),
        b__csv=csv_bytes(FRENCH[2:], ["utf-8"]).decode().encode("utf-16"),
        test__csv=TEST,
    )
    (tmp_path / "raw" / "c.csv").write_bytes(csv_bytes([text + " aussi" for text in FRENCH], ["latin-1"]))
    ingest(tmp_path, train=["[abc].csv"])
    assert output(tmp_path, "train")["text"].tolist() == [*FRENCH, *(text + " aussi" for text in FRENCH)]


@pytest.mark.parametrize(
    "encodings", [["utf-8", "latin-1"], ["utf-8", "utf-8", "latin-1"], ["latin-1"] * 3 + ["utf-8"]]
)
def test_lines_in_two_encodings_are_each_read_in_their_own(
    tmp_path: Path, encodings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [f"{text} {number}" for number in range(10) for text in FRENCH]
    write(tmp_path, train__csv=csv_bytes(texts, encodings), test__csv=TEST)
    ingest(tmp_path, duplicates={"threshold": 1.0, "shingle": 5, "permutations": 64})
    assert output(tmp_path, "train")["text"].tolist() == texts
    count = sum(encodings[i % len(encodings)] != "utf-8" for i in range(len(texts)))
    assert f"train.csv: read as utf-8, and {count} lines that are not as cp1252" in capsys.readouterr().err


def test_texts_that_were_cut_within_a_character_are_damaged_not_foreign(tmp_path: Path) -> None:
    rows = b"".join(f"Très déçu par la qualité {i} é".encode()[:-1] + b",stop\n" for i in range(5))
    write(tmp_path, train__csv=b"text,label\nfine,where\nall right,stop\n" + rows, test__csv=TEST)
    ingest(tmp_path)
    assert set(rejected(tmp_path).values()) == {"not valid UTF-8"} and len(rejected(tmp_path)) == 5


def test_chinese_lines_that_fit_utf8_by_chance_do_not_make_a_file_mixed() -> None:
    lines = ["物流很快，早上下单，下午就到了", "在这里买的一套，没用几天", "话筒声小，插上耳机手机还能外放"] * 10
    data = "\n".join([*lines, "联通"]).encode("gbk")
    assert decode(data, None, "x")[0].split("\n")[:30] == lines
