"""Phrases of one to four words in a token array: where they are and how they are commonly written."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from sae.words import BOUNDARY, LINK_WORDS, STOP_WORDS, Tokens

MAX_WORDS = 4
_MIN_WORD_LENGTH = 2
_MIN_PHRASE_LENGTH = 3


@dataclass(frozen=True)
class Ngrams:
    """Phrases and where they are.

    keys: the merged words of each phrase (n_phrases tuples of indices into ``Tokens.keys``);
    forms: its commonest inflection, lower-case words (tuples of indices into ``Tokens.lowers``);
    contains: (n_documents, n_phrases) CSC of float32 ones.
    """

    keys: list[tuple[int, ...]]
    forms: list[tuple[int, ...]]
    contains: sparse.csc_matrix


def content_flags(tokens: Tokens) -> tuple[np.ndarray, np.ndarray]:
    """For each lower-case word: may it begin and end a phrase; may it stand inside. Two (n_lowers,) bool
    arrays.
    """
    lowers = tokens.lowers
    content = np.asarray(
        [
            len(word) >= _MIN_WORD_LENGTH
            and word not in STOP_WORDS
            and not (len(word) > 4 and word.endswith("ly"))
            for word in lowers
        ],
        bool,
    )
    content[BOUNDARY] = False
    inside = content | np.asarray([word in LINK_WORDS for word in lowers], bool)
    return content, inside


def find_ngrams(tokens: Tokens, min_documents: int, max_documents: float) -> Ngrams:
    """All phrases that cross neither punctuation nor stop words, in ``min_documents``..``max_documents``
    documents.
    """
    content_word, inside_word = content_flags(tokens)
    lower = tokens.lower[tokens.surface]
    word = tokens.key[tokens.surface].astype(np.int64)
    content, inside = content_word[lower], inside_word[lower]
    n_tokens = len(word)
    code = word.copy()
    open_run = content.copy()  # positions from which a run of n allowed words starts
    keys: list[tuple[int, ...]] = []
    forms: list[tuple[int, ...]] = []
    columns: list[tuple[np.ndarray, np.ndarray]] = []
    for n_words in range(1, MAX_WORDS + 1):
        if n_words > 1:
            last = np.zeros(n_tokens, np.int64)
            last[: n_tokens - n_words + 1] = word[n_words - 1 :]
            follows = np.zeros(n_tokens, bool)
            follows[: n_tokens - n_words + 1] = inside[n_words - 1 :]
            open_run &= follows
            code = code * len(tokens.keys) + last
        starts = np.flatnonzero(open_run)
        _, inverse = np.unique(code[starts], return_inverse=True)
        code[starts] = inverse  # small numbers again, so that the next product fits in 64 bits
        ends_well = content[starts + n_words - 1]
        found = _count(tokens, starts[ends_well], inverse[ends_well], n_words, min_documents, max_documents)
        keys += found[0]
        forms += found[1]
        columns.append(found[2])
    documents = np.concatenate([rows for rows, _ in columns])
    offset = np.cumsum([0] + [int(ids.max(initial=-1)) + 1 for _, ids in columns])
    phrase = np.concatenate([ids + offset[i] for i, (_, ids) in enumerate(columns)])
    contains = sparse.csc_matrix(
        (np.ones(len(documents), np.float32), (documents, phrase)), shape=(tokens.n_documents, len(keys))
    )
    contains.sort_indices()
    return Ngrams(keys, forms, contains)


def _count(
    tokens: Tokens,
    starts: np.ndarray,
    codes: np.ndarray,
    n_words: int,
    min_documents: int,
    max_documents: float,
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], tuple[np.ndarray, np.ndarray]]:
    """Phrases of one length: merged words, commonest forms, and (documents, phrase index) of their places."""
    n_codes = int(codes.max(initial=-1)) + 1
    documents = tokens.document[starts].astype(np.int64)
    places = np.unique(codes * tokens.n_documents + documents)
    document_count = np.bincount(places // tokens.n_documents, minlength=n_codes)
    keep = (document_count >= min_documents) & (document_count <= max_documents)
    first = np.full(n_codes, -1)
    first[codes[::-1]] = starts[::-1]
    for phrase in np.flatnonzero(keep):
        words = [tokens.keys[tokens.key[tokens.surface[first[phrase] + i]]] for i in range(n_words)]
        keep[phrase] = len(" ".join(words)) >= _MIN_PHRASE_LENGTH
    new_index = np.cumsum(keep) - 1
    kept_places = places[keep[places // tokens.n_documents]]
    kept = np.flatnonzero(keep)
    keys = [tuple(int(k) for k in tokens.key[tokens.surface[first[p] : first[p] + n_words]]) for p in kept]
    used = keep[codes]
    forms = _commonest_forms(tokens, starts[used], new_index[codes[used]], n_words, len(kept))
    return keys, forms, (kept_places % tokens.n_documents, new_index[kept_places // tokens.n_documents])


def _commonest_forms(
    tokens: Tokens, starts: np.ndarray, phrase: np.ndarray, n_words: int, n_phrases: int
) -> list[tuple[int, ...]]:
    """For each phrase the lower-case words in which it occurs most often (the first seen on a tie)."""
    lower = tokens.lower[tokens.surface]
    form = phrase.astype(np.int64)
    for i in range(n_words):
        _, form = np.unique(form * len(tokens.lowers) + lower[starts + i], return_inverse=True)
    _, first, count = np.unique(form, return_index=True, return_counts=True)
    order = np.lexsort((first, -count, phrase[first]))
    chosen = np.full(n_phrases, -1)
    owner = phrase[first[order]]
    is_first = np.r_[True, owner[1:] != owner[:-1]] if len(owner) else np.zeros(0, bool)
    chosen[owner[is_first]] = starts[first[order][is_first]]
    return [tuple(int(w) for w in lower[start : start + n_words]) for start in chosen]
