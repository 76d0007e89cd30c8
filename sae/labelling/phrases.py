"""Candidate phrases of a corpus, made once and shared by all its autoencoders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from sae.labelling import readability
from sae.labelling.ngrams import Ngrams, find_ngrams
from sae.labelling.phrase_means import documents_with_words, mean_vectors
from sae.labelling.phrase_space import Expectation, PhraseSpace, PhraseVectors
from sae.labelling.words import LINK_WORDS, STOP_WORDS, Tokens, stem, tokenise, word_key
from sae.progress import Progress, silent

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]
"""Texts to (n, d_in) float32 unit rows, by the model that embedded the corpus."""

MIN_DOCUMENTS = 6
MAX_SHARE = 0.2
MAX_PHRASES = 30_000
SEPARATOR = "; "
LONE_NOUN, MODIFIER = 1, 2
_STEPS = 5


@dataclass(frozen=True)
class Phrases:
    """Phrases that may become labels, and all that is needed to compare any phrase with any document.

    texts: as shown, distinct; stems: content words of each, reduced to stems; lone: (n_phrases,) 0, or
    LONE_NOUN or MODIFIER for words that make a label only where many of a feature's documents have them, see
    :func:`sae.labelling.readability.lone_words`; contains: (n_documents,
    n_phrases) CSC of ones, by_document the same by row; share: (n_phrases,) share of documents; vectors: see
    :class:`PhraseVectors`; space: the corpus.
    """

    texts: list[str]
    stems: list[frozenset[str]]
    lone: npt.NDArray[np.int8]
    contains: sparse.csc_matrix
    by_document: sparse.csr_matrix
    share: npt.NDArray[np.float32]
    vectors: PhraseVectors
    space: PhraseSpace
    vocabulary: dict[str, int]
    expectation: Expectation
    index: dict[str, int]
    embed: Embed

    def __len__(self) -> int:
        return len(self.texts)

    def rows(self, documents: npt.NDArray[np.integer]) -> sparse.csr_matrix:
        """(len(documents), n_phrases) CSR of ones: the phrases of these documents."""
        return self.by_document[documents]

    def vectors_of(self, texts: Sequence[str]) -> PhraseVectors:
        """Vectors of free phrases, such as a person writes: known ones looked up, others embedded now."""
        known = [self.index.get(text.casefold()) for text in texts]
        if all(i is not None for i in known):
            return self.vectors.take(np.asarray(known, np.int64))
        embedded = self.embed(list(texts))
        words = _phrase_words([content_keys(text) for text in texts], self.vocabulary, self.space)
        nothing = sparse.csc_matrix((self.contains.shape[0], len(texts)), dtype=np.float32)
        contains = sparse.hstack(
            [nothing[:, [0]] if i is None else self.contains[:, [i]] for i in known], format="csc"
        )
        prototypes, _ = self.space.prototype_vectors(embedded, contains, self.expectation)
        return PhraseVectors(self.space.cosine_vectors(embedded), prototypes, words)


@dataclass(frozen=True)
class _Means:
    """Stands in for a model: a text is the mean of the documents that have all the words of one of its phrases."""

    vocabulary: dict[str, int]
    document_words: sparse.csr_matrix
    embeddings: npt.NDArray[np.float32]
    rows: npt.NDArray[np.integer] | None

    def __call__(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        parts = [[content_keys(part) for part in split_label(text)] for text in texts]
        flat = [words for phrases in parts for words in phrases]
        contains = documents_with_words(flat, self.vocabulary, self.document_words)
        text_of = np.repeat(np.arange(len(texts)), [len(phrases) for phrases in parts])
        ones = np.ones(len(flat), np.float32)
        joined = sparse.csc_matrix((ones, (np.arange(len(flat)), text_of)), (len(flat), len(texts)))
        return mean_vectors(contains @ joined, self.embeddings, self.rows)


def split_label(label: str) -> list[str]:
    """The phrases of a label."""
    return [part.strip() for part in label.split(SEPARATOR.strip()) if part.strip()]


def content_keys(text: str) -> list[str]:
    """Merged words of a phrase without the small ones (all of them if it has no others)."""
    words = text.replace("-", " ").split()
    keys = [key for word in words if (key := word_key(word.strip(".,:;()[]\"'")))]
    content = [key for key in keys if key not in STOP_WORDS and key not in LINK_WORDS]
    return content or keys


def prepare_phrases(
    texts: Sequence[str],
    embeddings: npt.NDArray[np.floating],
    embed: Embed | None,
    progress: Progress | None = None,
    *,
    mean_of: npt.NDArray[np.integer] | None = None,
    min_documents: int = MIN_DOCUMENTS,
    max_phrases: int = MAX_PHRASES,
) -> Phrases:
    """Find, sift and embed the phrases of a corpus.

    ``texts``: title, blank line, body of each document; ``embeddings`` (n_documents, d_in) unit rows in the
    same order. The same texts and embeddings give the same phrases. Without ``embed`` a phrase's vector is the
    mean of the documents ``mean_of`` (row numbers; None: all) that have it; see :mod:`sae.labelling.phrase_means`.
    """
    report = progress or silent
    rows = np.ascontiguousarray(embeddings, np.float32)
    report(0, _STEPS, "reading words")
    tokens = tokenise(texts)
    report(1, _STEPS, "counting phrases")
    ngrams = find_ngrams(tokens, min(min_documents, max(2, len(texts) // 20)), MAX_SHARE * len(texts))
    report(2, _STEPS, f"choosing among {len(ngrams.keys):,} phrases")
    ngrams, shown, lone = _sift(ngrams, tokens, rows, max_phrases)
    report(3, _STEPS, f"embedding {len(shown):,} phrases")
    document_words, vocabulary = _document_words(tokens)
    if embed is None:
        embed = _Means(vocabulary, document_words, rows, mean_of)
        phrase_embeddings = mean_vectors(ngrams.contains, rows, mean_of)
    else:
        # A corpus without phrases asks nothing of a model.
        embedded = embed(shown) if shown else np.zeros((0, rows.shape[1]))
        phrase_embeddings = np.asarray(embedded, np.float32).reshape(len(shown), rows.shape[1])
    report(4, _STEPS, "comparing phrases with documents")
    space = PhraseSpace(rows, document_words, phrase_embeddings)
    prototypes, expectation = space.prototype_vectors(phrase_embeddings, ngrams.contains)
    keys = [content_keys(text) for text in shown]
    words = _phrase_words(keys, vocabulary, space)
    share = np.diff(ngrams.contains.indptr) / max(1, len(texts))
    report(_STEPS, _STEPS, f"{len(shown):,} phrases")
    return Phrases(
        texts=shown,
        stems=[frozenset(stem(word) for word in key) for key in keys],
        lone=lone,
        contains=ngrams.contains,
        by_document=ngrams.contains.tocsr(),
        share=share.astype(np.float32),
        vectors=PhraseVectors(space.cosine_vectors(phrase_embeddings), prototypes, words),
        space=space,
        vocabulary=vocabulary,
        expectation=expectation,
        index={text.casefold(): i for i, text in reversed(list(enumerate(shown)))},
        embed=embed,
    )


def _sift(
    ngrams: Ngrams, tokens: Tokens, embeddings: npt.NDArray[np.float32], max_phrases: int
) -> tuple[Ngrams, list[str], npt.NDArray[np.int8]]:
    """The phrases that read well and whose documents have something in common, and lone words; their written
    forms; which are lone words.
    """
    centred = embeddings - embeddings.mean(0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-9)
    coherences = readability.coherence(ngrams.contains, centred)
    statistics = readability.word_statistics(tokens)
    allowed = readability.reads_well(ngrams, tokens, statistics)
    allowed &= coherences > readability.MIN_COHERENCE
    allowed &= ~readability.loose_link(ngrams, tokens)
    allowed &= ~readability.empty_modifier(ngrams, coherences)
    covered = readability.part_of_longer(ngrams, allowed)
    allowed &= ~covered
    nouns, modifiers = readability.lone_words(ngrams, tokens, statistics)
    neither = covered | allowed | (coherences <= readability.MIN_LONE_COHERENCE)
    lone = np.where(neither, 0, LONE_NOUN * nouns + MODIFIER * modifiers).astype(np.int8)
    allowed |= lone > 0
    written = readability.written_forms(ngrams, tokens)
    kept = np.flatnonzero(allowed)
    if len(kept) > max_phrases:
        weight = np.diff(ngrams.contains.indptr)[kept] * coherences[kept]
        kept = np.sort(kept[np.argsort(-weight, kind="stable")[:max_phrases]])
    first: dict[str, int] = {}
    for i in kept:
        first.setdefault(written[i].casefold(), int(i))
    chosen = list(first.values())
    sifted = Ngrams(
        [ngrams.keys[i] for i in chosen],
        [ngrams.forms[i] for i in chosen],
        [ngrams.hyphens[i] for i in chosen],
        ngrams.contains[:, chosen],
    )
    return sifted, [written[i] for i in chosen], lone[chosen]


def _document_words(tokens: Tokens) -> tuple[sparse.csr_matrix, dict[str, int]]:
    """(n_documents, n_words) CSR of ones: the merged words of each document; and their columns."""
    word = tokens.key[tokens.surface].astype(np.int64)
    pairs = np.unique(tokens.document.astype(np.int64)[word > 0] * len(tokens.keys) + word[word > 0])
    matrix = sparse.csr_matrix(
        (np.ones(len(pairs), np.float32), (pairs // len(tokens.keys), pairs % len(tokens.keys))),
        shape=(tokens.n_documents, len(tokens.keys)),
    )
    return matrix, {key: i for i, key in enumerate(tokens.keys)}


def _phrase_words(
    keys: Sequence[Sequence[str]], vocabulary: dict[str, int], space: PhraseSpace
) -> sparse.csr_matrix:
    """(n_phrases, n_words) CSR: each phrase's words by inverse document frequency, rows summing to 1."""
    rows, columns, weights = [], [], []
    unknown = float(np.log(space.document_words.shape[0] + 1) + np.log(2))
    for i, words in enumerate(keys):
        known = {
            vocabulary[word]: float(space.inverse_frequency[vocabulary[word]])
            for word in words
            if word in vocabulary
        }
        total = sum(known.values()) + unknown * sum(word not in vocabulary for word in set(words))
        rows += [i] * len(known)
        columns += list(known)
        weights += [weight / max(total, 1e-9) for weight in known.values()]
    return sparse.csr_matrix(
        (np.asarray(weights, np.float32), (rows, columns)), shape=(len(keys), len(vocabulary))
    )
