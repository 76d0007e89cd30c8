"""Phrases of a corpus whose model is not there, and of corpora with hardly a phrase."""

import numpy as np
import pytest

from sae.labelling.phrase_means import documents_with_words, mean_vectors
from sae.labelling.phrases import prepare_phrases
from tests.sae.planted import embed, planted_corpus


def test_a_phrase_is_the_mean_of_the_documents_that_hold_it() -> None:
    corpus = planted_corpus()
    rows = np.arange(0, len(corpus.texts), 2)
    phrases = prepare_phrases(corpus.texts, corpus.embeddings, None, mean_of=rows)
    found = mean_vectors(phrases.contains, corpus.embeddings, rows)
    for i in range(0, len(phrases), 7):
        holding = [row for row in rows if phrases.contains[row, i]]
        slow = np.sum([corpus.embeddings[row] for row in holding], axis=0) if holding else np.zeros(48)
        np.testing.assert_allclose(found[i], slow / max(float(np.linalg.norm(slow)), 1e-9), atol=1e-5)


def test_documents_outside_the_half_leave_no_trace() -> None:
    corpus = planted_corpus()
    rows = np.arange(0, len(corpus.texts), 2)
    changed = corpus.embeddings.copy()
    changed[1::2] = np.roll(changed[1::2], 1, axis=1)
    phrases = prepare_phrases(corpus.texts, corpus.embeddings, None, mean_of=rows)
    one = mean_vectors(phrases.contains, corpus.embeddings, rows)
    np.testing.assert_array_equal(one, mean_vectors(phrases.contains, changed, rows))


def test_free_texts_are_known_by_their_words() -> None:
    corpus = planted_corpus()
    phrases = prepare_phrases(corpus.texts, corpus.embeddings, None)
    vectors = phrases.embed(["Spiral galaxies", "Spiral galaxies; stock markets", "words nobody wrote", ""])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 0], atol=1e-5)
    near = corpus.embeddings @ vectors[0]
    holding = np.array(["spiral galaxies" in text.casefold() for text in corpus.texts])
    assert near[holding].mean() > near[~holding].mean() + 0.1
    assert phrases.embed([]).shape == (0, 48)


def test_documents_with_words_needs_every_word() -> None:
    phrases = prepare_phrases(["a\n\nred graph kernel", "b\n\nred graph", "c\n\nkernel"] * 3, np.eye(9), None)
    words = phrases.space.document_words
    found = documents_with_words([["red", "kernel"], ["red"], [], ["unknown"]], phrases.vocabulary, words)
    assert found.toarray().sum(0).tolist() == [3, 6, 0, 0]


@pytest.mark.parametrize("texts", [["nothing"], ["a\n\nred graph", "b\n\nblue graph"], ["same\n\nred"] * 6])
@pytest.mark.parametrize("model", [True, False])
def test_corpora_with_hardly_a_phrase_have_finite_scores(texts: list[str], model: bool) -> None:
    rows = embed([text + str(i) for i, text in enumerate(texts)])
    phrases = prepare_phrases(texts, rows, embed if model else None)
    scores = phrases.space.scores(np.arange(len(texts)), phrases.vectors_of(["red graph", "unheard of"]))
    for measure in (scores.cosine, scores.prototype, scores.coverage):
        assert measure.shape == (len(texts), 2)
        assert np.isfinite(measure).all()
