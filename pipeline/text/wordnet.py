"""WordNet without a download: Debian's dictionaries, copied to the folder that NLTK reads.

    python -m pipeline.text.wordnet

Reads /usr/share/wordnet (package wordnet-base); writes <sys.prefix>/nltk_data/corpora/wordnet, once.
"""

import shutil
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import UserError
from pipeline.core.stage import write_atomically

if TYPE_CHECKING:
    from nltk.corpus.reader import WordNetCorpusReader

DEBIAN_FOLDER = Path("/usr/share/wordnet")
NLTK_FOLDER = Path(sys.prefix, "nltk_data", "corpora", "wordnet")
PARTS = ("adj", "adv", "noun", "verb")
FILES = (*(f"{kind}.{part}" for kind in ("index", "data") for part in PARTS), *(f"{part}.exc" for part in PARTS))
COUNTS = "cntlist.rev"

# The lexicographer files of WordNet 3.0 in the order of their numbers (man lexnames.5WN): Debian's package has no such
# list, and NLTK needs one.
LEXNAMES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition "
    "noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object "
    "noun.person noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape "
    "noun.state noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition "
    "verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession "
    "verb.social verb.stative verb.weather adj.ppl"
).split()
CATEGORY = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}


def prepare_folder(source: Path = DEBIAN_FOLDER, target: Path = NLTK_FOLDER) -> Path:
    """The folder that NLTK reads WordNet from, filled from ``source`` unless it exists.

    The dictionaries are copied because NLTK refuses links, and paths outside its data folder. Raises UserError if
    ``source`` lacks a dictionary.
    """
    if target.is_dir():
        return target
    missing = [name for name in (*FILES, COUNTS) if not (source / name).is_file()]
    if missing:
        raise UserError(
            f"{source}: expected the dictionaries of WordNet, found no {missing[0]}; "
            "install them with `apt-get install wordnet-base`, or set synonyms.variants: 0"
        )
    write_atomically(target, lambda part: copy_dictionaries(source, part))
    return target


def copy_dictionaries(source: Path, target: Path) -> None:
    """Copy the dictionaries, and write the two other files that NLTK needs beside them."""
    target.mkdir()
    for name in (*FILES, COUNTS):
        shutil.copyfile(source / name, target / name)
    lines = (f"{i:02d}\t{name}\t{CATEGORY[name.split('.')[0]]}\n" for i, name in enumerate(LEXNAMES))
    (target / "lexnames").write_text("".join(lines))
    (target / "index.sense").touch()  # NLTK reads it only to map between WordNet versions, which nothing here does


def load() -> "WordNetCorpusReader":
    """NLTK's reader of the English WordNet, whatever else NLTK_DATA holds.

    Raises UserError if the dictionaries are not installed.
    """
    from nltk.corpus.reader import WordNetCorpusReader

    folder = prepare_folder()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The multilingual functions")
        return WordNetCorpusReader(str(folder), None)


if __name__ == "__main__":
    try:
        print(f"WordNet: {prepare_folder()}")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
