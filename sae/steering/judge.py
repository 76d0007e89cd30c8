"""A judge of steering that reads: given two lists of results and a few labels, which concept rose, which fell?

It never sees the edit, the query, or the SAE: only the documents of both lists, by their embeddings and by
their words, and the labels (the role of the language model in O'Neill et al. 2024, section 5). For each label
the evidence in a document is

    how near label and document embeddings are, and how much of the label's words the document has,

each in standard deviations over documents of the corpus at large, so that labels can be compared. The label
whose mean evidence grew most from one list to the other is said to have risen. To have fallen is said of the one
that lost the largest share of the evidence that there was: counted in full, whatever a query is most about would
seem to fall whenever its results are replaced.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from sae.labelling.words import STOP_WORDS, word_key
from sae.tex import letters

FloatArray = npt.NDArray[np.float32]

WAYS = ("local", "words", "embeddings")
"""What the judge goes by: both, words alone (which no embedding can flatter), embeddings alone."""

_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_LEAST_PRESENT = 1.0  # standard deviations of evidence below which a label was hardly there to fall
_LEAST_SPREAD = 0.02  # of a measure over the background: a word that no document has would tell too much


@dataclass(frozen=True)
class Evidence:
    """Evidence for n_labels labels in m documents, each measure float32 (m, n_labels) in standard
    deviations."""

    words: FloatArray
    embeddings: FloatArray

    def by(self, way: str = "local") -> FloatArray:
        """(m, n_labels): the sum of both measures, or one of them."""
        if way not in WAYS:
            raise ValueError(f"There is no way of judging called {way!r}; there are {', '.join(WAYS)}.")
        return self.words + self.embeddings if way == "local" else getattr(self, way)


class LocalJudge:
    """Reads documents for the concepts that labels name.

    labels: phrases divided by semicolons. embed: texts → float32 (n, d_in) unit rows, for the labels' phrases.
    background_embeddings (b, d_in) and background_texts: documents drawn from the corpus at large.
    """

    def __init__(
        self,
        labels: Sequence[str],
        embed: Callable[[Sequence[str]], np.ndarray],
        background_embeddings: np.ndarray,
        background_texts: Sequence[str],
    ) -> None:
        self.labels = list(labels)
        phrases = [[part.strip() for part in label.split(";") if part.strip()] for label in labels]
        distinct = list(dict.fromkeys(part for parts in phrases for part in parts))
        place = {text: i for i, text in enumerate(distinct)}
        self._vectors = np.asarray(embed(distinct), np.float32) if distinct else np.zeros((0, 1), np.float32)
        # Mean over a label's phrases, as a matrix: (n_labels, n_phrases).
        self._of_label = np.zeros((len(labels), len(distinct)), np.float32)
        for row, parts in enumerate(phrases):
            for part in parts:
                self._of_label[row, place[part]] += 1 / len(parts)
        self._keys = sorted({key for text in distinct for key in content_words(text)})
        self._column = {key: i for i, key in enumerate(self._keys)}
        has = self._presence(background_texts)
        idf = np.log((len(has) + 1) / (has.sum(0) + 1)) if len(has) else np.ones(len(self._keys))
        self._weights = np.zeros((len(distinct), len(self._keys)), np.float32)
        for row, text in enumerate(distinct):
            own = [self._column[key] for key in content_words(text)]
            self._weights[row, own] = idf[own] / max(float(idf[own].sum()), 1e-9)
        near, covered = self._measures(background_embeddings, has)
        self._near = near.mean(0), np.maximum(near.std(0), _LEAST_SPREAD)
        self._covered = covered.mean(0), np.maximum(covered.std(0), _LEAST_SPREAD)

    def read(self, embeddings: np.ndarray, texts: Sequence[str]) -> Evidence:
        """Evidence for every label in documents: ``embeddings`` (m, d_in) unit rows and their texts."""
        near, covered = self._measures(embeddings, self._presence(texts))
        return Evidence(
            words=((covered - self._covered[0]) / self._covered[1]).astype(np.float32),
            embeddings=((near - self._near[0]) / self._near[1]).astype(np.float32),
        )

    def _measures(self, embeddings: np.ndarray, has: FloatArray) -> tuple[FloatArray, FloatArray]:
        near = np.asarray(np.asarray(embeddings, np.float32) @ self._vectors.T @ self._of_label.T, np.float32)
        covered = np.asarray(has @ self._weights.T @ self._of_label.T, np.float32)
        return near, covered

    def _presence(self, texts: Sequence[str]) -> FloatArray:
        """Which of the labels' words each text has: float32 (m, n_words), 0 or 1."""
        has = np.zeros((len(texts), len(self._keys)), np.float32)
        for row, text in enumerate(texts):
            found = [self._column[key] for key in content_words(text) if key in self._column]
            has[row, found] = 1
        return has


def verdict(
    before: npt.ArrayLike, after: npt.ArrayLike, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which of the options rose and which fell, int64 (n,) each.

    ``before`` and ``after`` (n, n_results, n_options): evidence for each option in the results of n searches
    and of their counterparts. Options that changed equally are chosen among at random, so that a judge who
    sees no difference guesses.
    """
    first, second = np.asarray(before, np.float64), np.asarray(after, np.float64)
    change = second.mean(axis=-2) - first.mean(axis=-2)
    order = rng.permuted(np.broadcast_to(np.arange(change.shape[-1]), change.shape), axis=-1)
    shuffled = np.take_along_axis(change, order, axis=-1)
    rose = np.take_along_axis(order, shuffled.argmax(-1)[..., None], axis=-1)[..., 0]
    share = np.take_along_axis(change / np.maximum(first.mean(axis=-2), _LEAST_PRESENT), order, axis=-1)
    # Where nothing changed at all, the last of the shuffled options, so that it is not the first one's shadow.
    last = change.shape[-1] - 1 - share[..., ::-1].argmin(-1)
    fell = np.take_along_axis(order, last[..., None], axis=-1)[..., 0]
    return rose, fell


def content_words(text: str) -> set[str]:
    """The words of a text that say what it is about, without inflection."""
    return {_key(word) for word in set(_WORD.findall(letters(text).casefold())) if word not in STOP_WORDS}


@lru_cache(maxsize=200_000)
def _key(word: str) -> str:
    return word_key(word)
