import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.labelling.ngrams import MAX_WORDS, find_ngrams
from sae.labelling.phrases import Phrases, content_keys, prepare_phrases, split_label
from sae.labelling.words import LINK_WORDS, STOP_WORDS, tokenise
from tests.sae.planted import TOPICS, embed, planted_corpus

WORDS = ["graph", "graphs", "kernel", "of", "the", "deep", "method", "time-series", ".", ",", "k-means"]


def slow_ngrams(texts: list[str]) -> dict[tuple[str, ...], set[int]]:
    """The same phrases found word by word."""
    found: dict[tuple[str, ...], set[int]] = {}
    tokens = tokenise(texts)
    words = [tokens.lowers[tokens.lower[i]] for i in tokens.surface]
    keys = [tokens.keys[tokens.key[i]] for i in tokens.surface]
    part = tokens.hyphen | np.r_[False, tokens.hyphen[:-1]]
    content = [bool(w) and (part[i] or (len(w) > 1 and w not in STOP_WORDS)) for i, w in enumerate(words)]
    for start in range(len(words)):
        for n in range(1, MAX_WORDS + 1):
            run = range(start, start + n)
            if start + n > len(words) or not (content[start] and content[start + n - 1]):
                continue
            if not all(content[i] or words[i] in LINK_WORDS for i in run):
                continue
            if (start and tokens.hyphen[start - 1]) or tokens.hyphen[start + n - 1]:
                continue
            key = tuple(keys[i] for i in run)
            if n > 1 or len(key[0]) >= 3:
                found.setdefault(key, set()).add(int(tokens.document[start]))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), min_size=1, max_size=5))
def test_ngrams_equal_the_slow_way(texts: list[str]) -> None:
    tokens = tokenise(texts)
    ngrams = find_ngrams(tokens, 1, len(texts))
    got = {
        tuple(tokens.keys[w] for w in key): set(ngrams.contains[:, [i]].nonzero()[0].tolist())
        for i, key in enumerate(ngrams.keys)
    }
    assert got == slow_ngrams(texts)


def planted_phrases() -> Phrases:
    corpus = planted_corpus()
    return prepare_phrases(corpus.texts, corpus.embeddings, embed)


def test_planted_phrases_are_found_and_boilerplate_is_not() -> None:
    phrases = planted_phrases()
    assert set(TOPICS) <= set(phrases.texts)
    assert not {"new", "method", "results", "propose", "data sets"} & set(phrases.texts)


def test_open_and_hyphenated_spelling_are_one_phrase_shown_in_the_commoner() -> None:
    texts = ["A study\n\nWe fit time series here."] * 8 + ["A study\n\nWe fit time-series here."] * 4
    tokens = tokenise(texts)
    ngrams = find_ngrams(tokens, 2, 100)
    forms = {
        " ".join(tokens.lowers[w] for w in form): (hyphens, int(ngrams.contains[:, [i]].sum()))
        for i, (form, hyphens) in enumerate(zip(ngrams.forms, ngrams.hyphens, strict=True))
    }
    assert forms["time series"] == ((False, False), 12)


def test_vectors_of_known_phrases_are_those_prepared_and_unknown_ones_are_embedded() -> None:
    phrases = planted_phrases()
    known = phrases.vectors_of(["Spiral galaxies"])
    place = phrases.texts.index("spiral galaxies")
    assert np.array_equal(known.cosine[0], phrases.vectors.cosine[place])
    free = phrases.vectors_of(["galaxies that spiral", "entirely unheard"])
    assert np.isfinite(free.cosine).all()
    assert np.isfinite(free.prototypes).all()
    assert free.words[1].nnz == 0


def test_cosine_is_standardised_over_documents() -> None:
    phrases = planted_phrases()
    documents = np.arange(len(phrases.space.embeddings))
    scores = phrases.space.scores(documents, phrases.vectors)
    assert np.abs(scores.cosine.mean(0)).max() < 1e-3
    assert np.abs(scores.cosine.std(0) - 1).max() < 1e-3
    assert scores.coverage.min() >= 0
    assert scores.coverage.max() <= 1 + 1e-6


def test_coverage_is_full_where_the_phrase_is() -> None:
    phrases = planted_phrases()
    place = phrases.texts.index("protein folding")
    inside = phrases.contains[:, [place]].nonzero()[0]
    assert np.allclose(phrases.space.scores(inside, phrases.vectors.take([place])).coverage, 1, atol=1e-5)


def test_labels_are_split_at_semicolons() -> None:
    assert split_label(" a b; c ;; d") == ["a b", "c", "d"]
    assert content_keys("Methods of moments") == ["moment"]
