"""WordNet is copied once, and a missing package is an error that names what to install."""

import pytest

from pipeline.core.errors import UserError
from pipeline.text import wordnet

needs_wordnet = pytest.mark.skipif(
    not wordnet.DEBIAN_FOLDER.is_dir(), reason="the package wordnet-base is not installed"
)


@needs_wordnet
def test_nltk_reads_the_copy_with_categories_and_counts():
    reader = wordnet.load()
    dog = reader.synsets("dog", "n")[0]
    assert dog.lexname() == "noun.animal"
    assert reader.synsets("buy", "v")[0].lexname() == "verb.possession"
    assert dog.lemmas()[0].count() > 0


@needs_wordnet
def test_a_second_call_copies_nothing(tmp_path):
    folder = wordnet.prepare_folder(target=tmp_path / "wordnet")
    before = folder.stat().st_mtime_ns
    assert wordnet.prepare_folder(source=tmp_path / "gone", target=folder) == folder
    assert folder.stat().st_mtime_ns == before


def test_a_missing_package_names_what_to_install(tmp_path):
    with pytest.raises(UserError, match="apt-get install wordnet-base"):
        wordnet.prepare_folder(source=tmp_path, target=tmp_path / "wordnet")
    assert not (tmp_path / "wordnet").exists()
