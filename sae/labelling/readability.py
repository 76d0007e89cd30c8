"""Which phrases read well and mean something, judged by statistics of the corpus itself."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sae.labelling.ngrams import Ngrams, content_flags
from sae.labelling.words import BOUNDARY, LINK_WORDS, Tokens

# Words before a verb, words before a noun phrase. Their neighbours tell verbs from nouns without a tagger.
_VERB_MARKS = """to we can may could not they will would must that which should might cannot i you it is are
be been being was were have has had does do did let us"""
_BEFORE_VERBS = frozenset(_VERB_MARKS.split())
_ARTICLE_WORDS = "the a an this these our their its each all any whether"
_ARTICLES = frozenset(_ARTICLE_WORDS.split())

_MIN_ENDS_RUN = 0.30  # the last word must end a chunk of contents at least so often: noun-like
_MAX_VERB_LAST, _MAX_VERB_FIRST, _MAX_TO_LAST = 0.30, 0.45, 0.40
_MAX_OF_ALONE = 0.40  # "presence (of)", "end (of)" do not stand alone
_MAX_ARTICLE_AFTER = 0.15  # "predict the ...", "maintain a ..."
_MAX_ADJECTIVE_ALONE = 0.5
MIN_COHERENCE = 0.05
MIN_LONE_COHERENCE = 0.02  # "general" and "level" lie below, "binary" and "phase" above
_FRAGMENT_SHARE = 0.7
_FIXED_SHARE = 0.25  # a modifier used so often with its noun is a fixed expression: "time series"
_MODIFIER_GAIN = 1.05
_LINK_SHARE = 0.08


@dataclass(frozen=True)
class WordStatistics:
    """How each lower-case word is used; all (n_lowers,) float64, shares of the word's uses."""

    count: np.ndarray
    ends_run: np.ndarray
    after_verb_mark: np.ndarray
    before_of: np.ndarray
    before_to: np.ndarray
    before_article: np.ndarray


def word_statistics(tokens: Tokens) -> WordStatistics:
    """Count the neighbours of every word."""
    n_words = len(tokens.lowers)
    lower = tokens.lower[tokens.surface]
    before = np.r_[BOUNDARY, lower[:-1]]
    after = np.r_[lower[1:], BOUNDARY]
    content, _ = content_flags(tokens)
    run_ends = ~np.r_[content[1:], False]

    def members(words: frozenset[str]) -> np.ndarray:
        return np.asarray([word in words for word in tokens.lowers], bool)

    count = np.bincount(lower, minlength=n_words).astype(np.float64)

    def share(uses: np.ndarray) -> np.ndarray:
        return np.bincount(lower[uses], minlength=n_words) / np.maximum(count, 1)

    article_follows = members(_ARTICLES)[after]
    return WordStatistics(
        count=count,
        ends_run=share(run_ends),
        after_verb_mark=share(members(_BEFORE_VERBS)[before] | (tokens.starts & article_follows)),
        before_of=share(members(frozenset({"of"}))[after]),
        before_to=share(members(frozenset({"to"}))[after]),
        before_article=share(article_follows),
    )


def reads_well(ngrams: Ngrams, tokens: Tokens, statistics: WordStatistics) -> np.ndarray:
    """(n_phrases,) bool: may the phrase be shown; it ends like a noun, does not begin like a verb."""
    last = np.asarray([form[-1] for form in ngrams.forms], np.int64)
    alone = np.asarray([len(form) == 1 for form in ngrams.forms], bool)
    return (
        no_verb(ngrams, tokens, statistics)
        & (statistics.ends_run[last] >= _MIN_ENDS_RUN)
        & ~(alone & (statistics.before_of[last] > _MAX_OF_ALONE))
        & ~(alone & (statistics.ends_run[last] < _MAX_ADJECTIVE_ALONE))
    )


def lone_words(ngrams: Ngrams, tokens: Tokens, statistics: WordStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Single words that do not read well by themselves but are no verbs. Two (n_phrases,) bool arrays.

    nouns: at home before other nouns ("memory") or asking for one ("influence (of)"); modifiers ("implicit").
    """
    last = np.asarray([form[-1] for form in ngrams.forms], np.int64)
    alone = np.asarray([len(form) == 1 for form in ngrams.forms], bool)
    lone = alone & no_verb(ngrams, tokens, statistics) & ~reads_well(ngrams, tokens, statistics)
    noun = statistics.ends_run[last] >= _MIN_ENDS_RUN
    return lone & noun, lone & ~noun


def no_verb(ngrams: Ngrams, tokens: Tokens, statistics: WordStatistics) -> np.ndarray:
    """(n_phrases,) bool: neither the first nor the last word is used like a verb or participle."""
    forms = ngrams.forms
    first = np.asarray([form[0] for form in forms], np.int64)
    last = np.asarray([form[-1] for form in forms], np.int64)
    participle = np.asarray([tokens.lowers[form[-1]].endswith("ed") for form in forms], bool)
    return (
        (statistics.after_verb_mark[last] < _MAX_VERB_LAST)
        & (statistics.after_verb_mark[first] < _MAX_VERB_FIRST)
        & (statistics.before_article[last] < _MAX_ARTICLE_AFTER)
        & (statistics.before_to[last] < _MAX_TO_LAST)
        & ~participle
    )


def coherence(contains: sparse.csc_matrix, directions: np.ndarray) -> np.ndarray:
    """(n_phrases,) mean cosine of two different documents that contain the phrase.

    ``directions`` (n_documents, d_in): centred embeddings of unit length. Generic words ("average",
    "experiments") are near 0: their documents have nothing in common.
    """
    count = np.asarray(contains.sum(0)).ravel()
    total = np.asarray(contains.T @ directions, np.float64)
    squared = np.einsum("ij,ij->i", total, total)
    return (squared - count) / np.maximum(count * (count - 1), 1)


def part_of_longer(ngrams: Ngrams, allowed: np.ndarray) -> np.ndarray:
    """(n_phrases,) bool: nearly all documents of the phrase have it inside one longer allowed phrase."""
    index = {key: i for i, key in enumerate(ngrams.keys)}
    count = np.diff(ngrams.contains.indptr)
    inside = np.zeros(len(ngrams.keys), bool)
    for i in np.flatnonzero(allowed):
        for part in _parts(ngrams.keys[i]):
            j = index.get(part)
            if j is not None and count[i] >= _FRAGMENT_SHARE * count[j]:
                inside[j] = True
    return inside


def empty_modifier(ngrams: Ngrams, coherences: np.ndarray) -> np.ndarray:
    """(n_phrases,) bool: leaving out the first word loses no meaning.

    "different neural networks": its documents cohere no better than the many more of "neural networks".
    """
    index = {key: i for i, key in enumerate(ngrams.keys)}
    count = np.diff(ngrams.contains.indptr)
    empty = np.zeros(len(ngrams.keys), bool)
    for i, key in enumerate(ngrams.keys):
        j = index.get(key[1:])
        if j is not None and count[i] < _FIXED_SHARE * count[j]:
            empty[i] = coherences[i] < _MODIFIER_GAIN * coherences[j]
    return empty


def loose_link(ngrams: Ngrams, tokens: Tokens) -> np.ndarray:
    """(n_phrases,) bool: joined by a small word but no fixed expression ("networks and decision")."""
    index = {key: i for i, key in enumerate(ngrams.keys)}
    count = np.diff(ngrams.contains.indptr)
    loose = np.zeros(len(ngrams.keys), bool)
    for i, (key, form) in enumerate(zip(ngrams.keys, ngrams.forms, strict=True)):
        for place in range(1, len(key) - 1):
            if tokens.lowers[form[place]] in LINK_WORDS:
                sides = [index.get(key[:place]), index.get(key[place + 1 :])]
                known = [int(count[side]) for side in sides if side is not None]
                loose[i] |= len(known) == 2 and count[i] < _LINK_SHARE * min(known)
    return loose


def written_forms(ngrams: Ngrams, tokens: Tokens) -> list[str]:
    """Each phrase as it is shown: commonest inflection, each word in its commonest case inside sentences."""
    in_sentence = ~tokens.starts & ~tokens.in_title
    weight = np.where(
        in_sentence, 1.0, 1e-3
    )  # titles and sentence starts decide only where nothing else does
    uses = np.bincount(tokens.surface, weights=weight, minlength=len(tokens.surfaces))
    order = np.lexsort((np.arange(len(uses)), -uses))
    written: dict[int, str] = {}
    for surface in order:
        written.setdefault(int(tokens.lower[surface]), tokens.surfaces[surface])
    return [
        "".join(
            written[word] + ("-" if hyphen else " ") for word, hyphen in zip(form, hyphens, strict=True)
        ).rstrip(" ")
        for form, hyphens in zip(ngrams.forms, ngrams.hyphens, strict=True)
    ]


def _parts(key: tuple[int, ...]) -> list[tuple[int, ...]]:
    """All shorter contiguous parts of a phrase."""
    n = len(key)
    return [key[a:b] for a in range(n) for b in range(a + 1, n + 1) if b - a < n]
