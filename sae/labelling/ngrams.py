"""Phrases of one to five words in a token array: where they are and how they are commonly written."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sae.labelling.words import BOUNDARY, LINK_WORDS, LY_NOUNS, STOP_WORDS, Tokens

MAX_WORDS = 5  # parts of hyphenated words counted
_MIN_WORD_LENGTH = 2
_MIN_PHRASE_LENGTH = 3


@dataclass(frozen=True)
class Ngrams:
    """Phrases and where they are.

    keys: the merged words of each phrase (n_phrases tuples of indices into ``Tokens.keys``);
    forms: its commonest inflection, lower-case words (tuples of indices into ``Tokens.lowers``);
    hyphens: for each of its words, is it joined to the next by a hyphen;
    contains: (n_documents, n_phrases) CSC of float32 ones.
    """

    keys: list[tuple[int, ...]]
    forms: list[tuple[int, ...]]
    hyphens: list[tuple[bool, ...]]
    contains: sparse.csc_matrix


def content_flags(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """For each token: does it carry content; may it stand inside a phrase. Two (n_tokens,) bool arrays.

    Parts of hyphenated words are content whatever they are: "one-shot", "k-means".
    """
    content_word = np.asarray(
        [
            len(word) >= _MIN_WORD_LENGTH
            and word not in STOP_WORDS
            and not (len(word) > 4 and word.endswith("ly") and word not in LY_NOUNS)
            for word in tokens.lowers
        ],
        bool,
    )
    content_word[BOUNDARY] = False
    link_word = np.asarray([word in LINK_WORDS for word in tokens.lowers], bool)
    lower = tokens.lower[tokens.surface]
    content = content_word[lower] | tokens.hyphen | np.r_[False, tokens.hyphen[:-1]]
    return content, content | link_word[lower]


def find_ngrams(tokens: Tokens, min_documents: int, max_documents: float) -> Ngrams:
    """All phrases that cross neither punctuation nor stop words, in ``min_documents``..``max_documents``
    documents.
    """
    content, inside = content_flags(tokens)
    word = tokens.key[tokens.surface].astype(np.int64)
    code = word.copy()
    open_run = (
        content & ~np.r_[False, tokens.hyphen[:-1]]
    )  # positions from which a run of n allowed words starts
    found = []
    for n_words in range(1, MAX_WORDS + 1):
        if n_words > 1:
            later = slice(n_words - 1, None)
            n_later = len(word[later])
            open_run[:n_later] &= inside[later]
            open_run[n_later:] = False
            code[:n_later] = code[:n_later] * len(tokens.keys) + word[later]
        starts = np.flatnonzero(open_run)
        _, inverse = np.unique(code[starts], return_inverse=True)
        code[starts] = inverse  # small numbers again, so that the next product fits in 64 bits
        ends = starts + n_words - 1
        ends_well = content[ends] & ~tokens.hyphen[ends]
        found.append(
            _count(tokens, starts[ends_well], inverse[ends_well], n_words, min_documents, max_documents)
        )
    examples = [(start, n) for n, part in enumerate(found, 1) for start in part.examples]
    offset = np.cumsum([0] + [len(part.examples) for part in found])
    phrase = np.concatenate([part.phrase + offset[i] for i, part in enumerate(found)])
    documents = np.concatenate([part.documents for part in found])
    contains = sparse.csc_matrix(
        (np.ones(len(documents), np.float32), (documents, phrase)), shape=(tokens.n_documents, len(examples))
    )
    contains.sort_indices()

    def slices(values: np.ndarray) -> list[tuple[int, ...]]:
        return [tuple(int(value) for value in values[start : start + n]) for start, n in examples]

    return Ngrams(
        keys=slices(tokens.key[tokens.surface]),
        forms=slices(tokens.lower[tokens.surface]),
        hyphens=[tuple(bool(joined) for joined in flags) for flags in slices(tokens.hyphen)],
        contains=contains,
    )


@dataclass(frozen=True)
class _Found:
    """Phrases of one length: a token at which each has its commonest form; all their places."""

    examples: np.ndarray
    documents: np.ndarray
    phrase: np.ndarray


def _count(
    tokens: Tokens,
    starts: np.ndarray,
    codes: np.ndarray,
    n_words: int,
    min_documents: int,
    max_documents: float,
) -> _Found:
    """Phrases of ``n_words`` words that start at ``starts`` and are numbered by ``codes``."""
    n_codes = int(codes.max(initial=-1)) + 1
    places = np.unique(codes * tokens.n_documents + tokens.document[starts].astype(np.int64))
    owner, documents = places // tokens.n_documents, places % tokens.n_documents
    document_count = np.bincount(owner, minlength=n_codes)
    keep = (document_count >= min_documents) & (document_count <= max_documents)
    if n_words == 1:
        keep[codes[_lengths(tokens)[starts] < _MIN_PHRASE_LENGTH]] = False
    new_index = np.cumsum(keep) - 1
    used = keep[codes]
    examples = _commonest_forms(tokens, starts[used], new_index[codes[used]], n_words, int(keep.sum()))
    return _Found(examples, documents[keep[owner]], new_index[owner[keep[owner]]])


def _lengths(tokens: Tokens) -> np.ndarray:
    """(n_tokens,) letters in each token's merged form."""
    return np.asarray([len(key) for key in tokens.keys])[tokens.key[tokens.surface]]


def _commonest_forms(
    tokens: Tokens, starts: np.ndarray, phrase: np.ndarray, n_words: int, n_phrases: int
) -> np.ndarray:
    """(n_phrases,) a place where the phrase has its commonest inflection (the first on a tie)."""
    word = 2 * tokens.lower[tokens.surface].astype(np.int64) + tokens.hyphen
    form = phrase.astype(np.int64)
    for i in range(n_words):
        _, form = np.unique(form * 2 * len(tokens.lowers) + word[starts + i], return_inverse=True)
    _, first, count = np.unique(form, return_index=True, return_counts=True)
    order = np.lexsort((first, -count, phrase[first]))
    owner = phrase[first[order]]
    is_first = np.r_[True, owner[1:] != owner[:-1]] if len(owner) else np.zeros(0, bool)
    chosen = np.full(n_phrases, -1, np.int64)
    chosen[owner[is_first]] = starts[first[order][is_first]]
    return chosen
