"""Documents about planted topics of a known hierarchy: for tests, and as a ground truth for features."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from build.corpora.document import RawDocument
from build.corpora.synthetic_topics import TOPICS
from sae.errors import UserError

# {a}, {b}, {c}: words of one topic; {t}: the topic's name.
_SENTENCES = (
    "We study {a} and {b}.",
    "The role of {a} has long been debated in {t}.",
    "New results on {a} change how {b} should be understood.",
    "This report compares {a}, {b} and {c}.",
    "Much is known about {a}, but far less about {b}.",
    "A survey of {a} shows a strong link to {b}.",
    "Careful measurements of {a} were made over several years.",
    "Experts in {t} often begin with {a} before turning to {b}.",
    "We describe how {a} depends on {b}, and what that means for {c}.",
    "An open question in {t} is what explains {a}.",
    "The examples range from {a} to {b}.",
    "Earlier accounts of {a} left out {b} altogether.",
)
_LINKS = (
    "The second part turns to {t}.",
    "The same ideas are then carried over to {t}.",
    "A final section looks at {t}.",
)
_TITLES = ("{A} and {b}", "On {a}", "{A}: a review", "What {a} tell us about {b}", "Notes on {a} in {t}")
_FIRST_DAY = datetime.date(2010, 1, 1)
_MAX_DOCUMENTS = 1_000_000


@dataclass(frozen=True)
class PlantedTruth:
    """What was planted.

    names: narrower topics first, broad ones after them, n_topics in all. parents: (n_topics,) int32, index of
    each topic's broad topic, −1 for a broad one. mentions: (n_documents, n_topics) bool, whether a document
    is about a topic; a document about a narrower topic is also about its parent.
    """

    names: tuple[str, ...]
    parents: np.ndarray
    mentions: np.ndarray


def read_synthetic(n_documents: int = 900, seed: int = 0) -> Iterator[RawDocument]:
    """``n_documents`` documents of four to ten sentences, each about one to three narrower topics.

    The same arguments give the same documents; the first topic listed under ``categories`` is the main one.
    Raises UserError for a number that is not between 1 and a million.
    """
    generator = np.random.default_rng(seed)
    narrow = _narrow_topics()
    for i, chosen in enumerate(_plan(n_documents, generator)):
        main = narrow[chosen[0]]
        sentences: list[str] = []
        for position, topic in enumerate(chosen):
            name, words = narrow[topic][1], list(generator.permutation(narrow[topic][2]))
            if position:
                sentences.append(_pick(generator, _LINKS).format(t=name))
            for _ in range(4 if position == 0 else 2):
                sentence = _pick(generator, _SENTENCES)
                sentences.append(sentence.format(a=words[0], b=words[1], c=words[2], t=name))
                words = words[2:] + words[:2]
        a, b = generator.permutation(main[2])[:2]
        title = _pick(generator, _TITLES).format(a=a, A=a[0].upper() + a[1:], b=b, t=main[1])
        names = [narrow[topic][1] for topic in chosen]
        parents = [narrow[topic][0] for topic in chosen]
        yield RawDocument(
            doc_id=f"planted-{seed}-{i:06}",
            title=title,
            text=" ".join(sentences),
            date=_FIRST_DAY + datetime.timedelta(days=int(generator.integers(5000))),
            categories=list(dict.fromkeys([names[0], parents[0], *names, *parents])),
            authors=[f"{_pick(generator, _FORENAMES)} {_pick(generator, _SURNAMES)}"],
            citation_count=int(generator.geometric(0.08)) - 1,
        )


_FORENAMES = ("Ada", "Bo", "Chidi", "Dana", "Eva", "Farid", "Grace", "Hugo", "Ines", "Jun")
_SURNAMES = ("Almeida", "Berg", "Costa", "Dufour", "Eriksen", "Fischer", "Gupta", "Haddad", "Ito", "Jansen")


def truth(n_documents: int = 900, seed: int = 0) -> PlantedTruth:
    """What ``read_synthetic`` with the same arguments planted, row for row."""
    narrow = _narrow_topics()
    broad = tuple(TOPICS)
    names = (*(name for _, name, _ in narrow), *broad)
    parents = np.full(len(names), -1, dtype=np.int32)
    for i, (parent, _, _) in enumerate(narrow):
        parents[i] = len(narrow) + broad.index(parent)
    mentions = np.zeros((n_documents, len(names)), dtype=bool)
    for row, chosen in enumerate(_plan(n_documents, np.random.default_rng(seed))):
        mentions[row, chosen] = True
        mentions[row, parents[chosen]] = True
    return PlantedTruth(names, parents, mentions)


def _narrow_topics() -> list[tuple[str, str, tuple[str, ...]]]:
    """(broad topic, narrower topic, words), in a fixed order."""
    return [(broad, name, words) for broad, below in TOPICS.items() for name, words in below.items()]


def _plan(n_documents: int, generator: np.random.Generator) -> list[list[int]]:
    """Narrower topics of each document, the main one first: half have one, a third two, the rest three.

    A second topic is in half the cases from the same broad topic, so that siblings occur together more often
    than strangers. All choices are made before any text, so that the truth needs no text.
    """
    if not 1 <= n_documents <= _MAX_DOCUMENTS:
        raise UserError(
            f"n_documents is {n_documents}; planted topics need between 1 and {_MAX_DOCUMENTS:,}."
        )
    narrow = _narrow_topics()
    siblings = [[j for j, (other, _, _) in enumerate(narrow) if other == broad] for broad, _, _ in narrow]
    plan = []
    for n_topics in generator.choice([1, 2, 3], size=n_documents, p=[0.5, 0.33, 0.17]):
        chosen = [int(generator.integers(len(narrow)))]
        while len(chosen) < n_topics:
            near = siblings[chosen[0]]
            pool = near if generator.random() < 0.5 else range(len(narrow))
            topic = int(pool[int(generator.integers(len(pool)))])
            if topic not in chosen:
                chosen.append(topic)
        plan.append(chosen)
    return plan


def _pick(generator: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(generator.integers(len(options)))]
