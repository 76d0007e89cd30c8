import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.labelling.words import BOUNDARY, plain_text, singular, stem, tokenise, word_key


def written(text: str) -> list[str]:
    tokens = tokenise([text])
    return [tokens.surfaces[i] or "|" for i in tokens.surface]


def test_hyphenated_words_are_parts_and_formulas_are_boundaries() -> None:
    tokens = tokenise(["A semi-supervised Newton's $x_i$ step"])
    words = [tokens.surfaces[i] or "|" for i in tokens.surface]
    assert [w for w in words if w != "|"] == ["A", "semi", "supervised", "Newton's", "step"]
    assert words[words.index("Newton's") + 1] == "|"
    assert [tokens.surfaces[i] for i in tokens.surface[tokens.hyphen]] == ["semi"]


def test_names_of_code_become_their_words() -> None:
    assert plain_text("sklearn.linear_model.Ridge").split() == [
        "|",
        "sklearn",
        "|",
        "|",
        "linear",
        "model",
        "|",
        "|",
        "Ridge",
        "|",
    ]
    assert [w for w in written("the confusion_matrix of :class:`DataFrame`") if w != "|"] == [
        "the", "confusion", "matrix", "of", "DataFrame",
    ]  # fmt: skip


def test_title_and_sentence_starts_are_marked() -> None:
    tokens = tokenise(["Deep Nets\n\nWe learn. They win."])
    titles = [tokens.surfaces[i] for i in tokens.surface[tokens.in_title] if i != BOUNDARY]
    starts = [tokens.surfaces[i] for i in tokens.surface[tokens.starts]]
    assert titles == ["Deep", "Nets"]
    assert starts == ["Deep", "We", "They"]


def test_inflections_meet() -> None:
    assert singular("galaxies") == "galaxy"
    assert singular("classes") == "class"
    assert singular("analysis") == "analysis"
    assert stem("clustering") == stem("clusters") == stem("cluster")


@settings(deadline=None)
@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_is_tokenised_document_by_document(texts: list[str]) -> None:
    tokens = tokenise(texts)
    assert tokens.n_documents == len(texts)
    assert len(tokens.surface) == len(tokens.document) == len(tokens.hyphen) == len(tokens.starts)
    assert (tokens.document[1:] >= tokens.document[:-1]).all()
    for row, text in enumerate(texts):
        for word in tokens.surface[tokens.document == row]:
            assert tokens.surfaces[word] in text


@pytest.mark.parametrize(
    ("tex", "words"),
    [
        (r"of Alfv\'en waves", ["of", "Alfvén", "waves"]),
        (r"Alfv\'{e}nic", ["Alfvénic"]),
        (r"Rayleigh-B{\'e}nard", ["Rayleigh", "Bénard"]),
        (r"na\"{\i}ve Nystr\"om", ["naïve", "Nyström"]),
        (r"\v{S}idlichovsk\'y", ["Šidlichovský"]),
        (r"S{\o}rensen at \vec{x}", ["Sørensen", "at", "x"]),
    ],
)
def test_words_keep_their_accents_in_tex(tex: str, words: list[str]) -> None:
    assert [word for word in written(tex) if word != "|"] == words


def test_words_with_and_without_accents_meet() -> None:
    assert word_key("Alfvén's") == word_key("Alfven") == "alfven"
    tokens = tokenise([r"Alfv\'en, Alfvén and Alfven"])
    assert len({tokens.key[i] for i in tokens.surface if "v" in tokens.surfaces[i]}) == 1
