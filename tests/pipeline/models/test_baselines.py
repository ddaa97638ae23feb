"""The features of the plain baselines."""

from pipeline.models.baselines import tfidf_features


def test_words_are_the_features_of_spaced_text_and_characters_those_of_chinese():
    words, _ = tfidf_features(["a red car", "a blue car with 中文"], ["red"])
    assert words.shape[1] == len({"red", "car", "red car", "blue", "blue car", "with", "car with", "中文", "with 中文"})
    characters, _ = tfidf_features(["很好吃", "不好 a"], ["好"])
    assert characters.shape[1] == len("很 好 吃 不 _ a 很好 好吃 不好 好_ _a 很好吃 不好_ 好_a".split())
