"""Queries to evaluate with: the corpus's examples and documents held out from training, turned into what a reader
might type; or a file with one query a line."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from build.query_files import read_queries

_MOST_WORDS = 14
_FEWEST_WORDS = 3
_MOST_CHARACTERS = 120
_FRAME = re.compile(
    r"^(notes on|on|what|a note on|towards?)\s+|\s*:\s*a (review|survey)$|\s+tell us about\s+", re.I
)
_SENTENCE = re.compile(r"(?<=[.!?])\s")
_MARKUP = re.compile(r"[`*$\\{}]|\s+")


@dataclass(frozen=True)
class TrialQueries:
    """``texts`` of n queries; ``documents`` int64 (n,): the row that a query was made from, which it must not
    find again, or −1."""

    texts: list[str]
    documents: np.ndarray


def as_query(title: str, text: str) -> str:
    """A title as someone would type it; the first sentence of the text where the title is a bare name.

    Empty when neither says enough.
    """
    for source in (title, _SENTENCE.split(text.strip(), maxsplit=1)[0]):
        plain = _FRAME.sub(" ", _MARKUP.sub(" ", source)).strip(" .:;,?!").strip()
        words = plain.split()
        if len(words) >= _FEWEST_WORDS and len(plain) <= _MOST_CHARACTERS:
            return " ".join(words[:_MOST_WORDS]).lower()
    return ""


def from_documents(
    titles: list[str], texts: list[str], rows: np.ndarray, examples: tuple[str, ...], count: int, seed: int
) -> TrialQueries:
    """The examples, then queries made from ``rows`` in a seeded order, ``count`` in all where there are as many."""
    queries, documents = list(examples)[:count], [-1] * min(count, len(examples))
    seen = {query.casefold() for query in queries}
    for row in np.random.default_rng([seed, 21]).permutation(rows):
        if len(queries) >= count:
            break
        query = as_query(titles[row], texts[row])
        if query and query not in seen:
            seen.add(query)
            queries.append(query)
            documents.append(int(row))
    return TrialQueries(queries, np.array(documents, np.int64))


def from_file(path: Path, count: int) -> TrialQueries:
    """The first ``count`` queries of a file, one a line."""
    texts = list(read_queries(path))[:count]
    return TrialQueries(texts, np.full(len(texts), -1, np.int64))
