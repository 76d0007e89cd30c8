"""Features that appear in two fields at once: matches between SAEs of different corpora.

O'Neill et al. 2024, appendix C. Both corpora must be embedded with the same model: decoder directions are
then compared in embedding space (the standardisation before an SAE shifts and scales, but does not turn).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from sae.encode import Weights
from sae.errors import UserError
from sae.labelling.words import stem, word_key
from sae.statistics import nearest
from sae.structure.splitting import pair_similarities

_WORD = re.compile(r"[^\W_]+")
_LEAST_BEFORE_ING = 3  # letters: king is no form of k
_SMALL_WORDS = frozenset(
    (
        "a",
        "an",
        "and",
        "as",
        "at",
        "by",
        "for",
        "from",
        "in",
        "into",
        "of",
        "on",
        "or",
        "over",
        "the",
        "to",
        "with",
    )
)


@dataclass(frozen=True)
class DomainMatches:
    """For each feature of one corpus' SAE the nearest feature of the other's.

    nearest int32 (n,); cosines float32 (n,); mutual bool (n,), nearest in both directions; similarities
    float32 (n,), cosine of activations over the documents of both corpora, each encoded by both SAEs; active
    int32 (n,), documents in which both are active; shared_similarities float32 (n,), the same over the
    documents that both corpora hold, NaN where there are none in which either is active; shared_active int32
    (n,).
    """

    nearest: np.ndarray
    cosines: np.ndarray
    mutual: np.ndarray
    similarities: np.ndarray
    active: np.ndarray
    shared_similarities: np.ndarray
    shared_active: np.ndarray


def shared_documents(doc_ids: Sequence[str], other_doc_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the documents that both corpora hold, by id: (rows in one, rows in the other), int64."""
    rows = {doc_id: row for row, doc_id in enumerate(doc_ids)}
    pairs = [(rows[doc_id], row) for row, doc_id in enumerate(other_doc_ids) if doc_id in rows]
    found = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def match_domains(
    weights: Weights,
    other: Weights,
    latents: sp.csr_matrix,
    other_latents: sp.csr_matrix,
    shared_rows: np.ndarray,
) -> DomainMatches:
    """Match two SAEs. Both latents are of the same documents, those of the two corpora one after the other:
    (n_documents, n) by the one SAE, (n_documents, m) by the other. ``shared_rows``: the documents among them
    that both corpora hold.
    """
    if weights.d_in != other.d_in:
        raise UserError(
            f"The SAEs take embeddings of {weights.d_in} and {other.d_in} dimensions; "
            "only corpora embedded with the same model can be compared."
        )
    indices, cosines = nearest(weights.W_dec, other.W_dec)
    back, _ = nearest(other.W_dec, weights.W_dec)
    features = np.arange(weights.n_latents)
    similarities, active = pair_similarities(latents, other_latents, features, indices)
    ours, theirs = latents[shared_rows], other_latents[shared_rows]
    shared_similarities, shared_active = pair_similarities(ours, theirs, features, indices)
    fires = np.bincount(ours.indices, minlength=weights.n_latents)[features] > 0
    fires |= np.bincount(theirs.indices, minlength=other.n_latents)[indices] > 0
    shared_similarities[~fires] = np.nan
    return DomainMatches(
        indices, cosines, back[indices] == features, similarities, active, shared_similarities, shared_active
    )


def label_overlap(label: str | None, other: str | None) -> float:
    """Share of the shorter label's words that the other has too, in whatever form; NaN when either has none.

    0 beside nearly identical directions is what deserves a look: the same words in two fields may mean
    different things, and different words the same. Initials (PCA) are the words that they stand for.
    """
    words, others = _roots(label), _roots(other)
    if not words or not others:
        return float("nan")
    shared = len(words & others) or len(words & _initials(other)) + len(others & _initials(label))
    return min(1.0, shared / min(len(words), len(others)))


def _roots(label: str | None) -> set[str]:
    """Content words without plurals and endings: galaxies and galaxy, coding and code fall together."""
    found = _WORD.findall((label or "").casefold())
    return {_root(word) for word in found if word not in _SMALL_WORDS}


def _root(word: str) -> str:
    short = stem(word_key(word))
    if short.endswith("ing") and len(short) >= _LEAST_BEFORE_ING + 3:
        short = short.removesuffix("ing")
    if len(short) > 3:  # gas keeps its s, as gases does
        short = short.removesuffix("s")  # lensing leaves lens, whose own s is cut as a plural's is
    return short[:6].removesuffix("e") or word


def _initials(label: str | None) -> set[str]:
    """First letters of each of a label's phrases of several words."""
    phrases = (_WORD.findall(phrase) for phrase in (label or "").casefold().split(";"))
    return {"".join(word[0] for word in words) for words in phrases if len(words) > 1}
