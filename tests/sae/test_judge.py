"""The judge of steering: it can succeed, it is blind, and it goes by what it is told to go by."""

import inspect

import numpy as np
import pytest

from sae.steering.judge import WAYS, LocalJudge, content_words, verdict
from tests.sae.planted import TOPICS, embed

N_RESULTS = 10


def sentences(topic: str, rng: np.random.Generator, count: int) -> list[str]:
    return [" and ".join(rng.choice(TOPICS[topic], 2)) + f" in report {chr(97 + i)}" for i in range(count)]


@pytest.fixture(scope="module")
def topics() -> list[str]:
    return list(TOPICS)


@pytest.fixture(scope="module")
def judge(topics: list[str]) -> LocalJudge:
    rng = np.random.default_rng(0)
    background = [text for topic in topics for text in sentences(topic, rng, 6)]
    return LocalJudge(topics, embed, embed(background), background)


def trials(judge: LocalJudge, topics: list[str], n: int, way: str = "local", moved: int = 3) -> np.ndarray:
    """Accuracy (up, down) when ``moved`` of ten results turn from one topic to another."""
    rng = np.random.default_rng(1)
    before, after, options, truth = [], [], [], []
    for _ in range(n):
        five = rng.permutation(len(topics))[:5]
        base = [text for t in five for text in sentences(topics[t], rng, 2)]
        falling, rising = rng.permutation(5)[:2]
        keep = [text for i, text in enumerate(base) if i // 2 != falling]
        new = sentences(topics[five[rising]], rng, moved)
        changed = (keep + new + base)[:N_RESULTS] if moved else base
        for texts, into in ((base, before), (changed, after)):
            into.append(judge.read(embed(texts), texts).by(way)[:, five])
        options.append(five)
        truth.append((rising, falling))
    rose, fell = verdict(np.stack(before), np.stack(after), np.random.default_rng(2))
    expected = np.array(truth)
    return np.array([(rose == expected[:, 0]).mean(), (fell == expected[:, 1]).mean()])


@pytest.mark.parametrize("way", WAYS)
def test_a_plain_change_is_recognised(judge: LocalJudge, topics: list[str], way: str) -> None:
    assert (trials(judge, topics, 60, way) > 0.85).all()


def test_without_a_change_it_guesses(judge: LocalJudge, topics: list[str]) -> None:
    found = trials(judge, topics, 500, moved=0)
    assert (np.abs(found - 0.2) < 0.07).all()


def test_with_shuffled_labels_it_guesses(topics: list[str]) -> None:
    rng = np.random.default_rng(3)
    background = [text for topic in topics for text in sentences(topic, rng, 6)]
    wrong = [topics[(i + 7) % len(topics)] for i in range(len(topics))]  # no label keeps its own topic
    found = trials(LocalJudge(wrong, embed, embed(background), background), topics, 300)
    assert (found < 0.35).all()


def test_it_is_told_nothing_of_the_edit() -> None:
    assert list(inspect.signature(LocalJudge.read).parameters) == ["self", "embeddings", "texts"]
    assert list(inspect.signature(verdict).parameters) == ["before", "after", "rng"]


def test_judging_by_words_ignores_embeddings(judge: LocalJudge, topics: list[str]) -> None:
    texts = sentences(topics[0], np.random.default_rng(4), 4)
    one = judge.read(embed(texts), texts)
    other = judge.read(np.zeros_like(embed(texts)), texts)
    assert np.array_equal(one.by("words"), other.by("words"))
    assert not np.array_equal(one.by("embeddings"), other.by("embeddings"))


def test_the_largest_share_lost_is_what_fell() -> None:
    before, after = np.zeros((1, 2, 5)), np.zeros((1, 2, 5))
    before[..., 0], after[..., 0] = 10, 7  # loses most, as what the query is about does in any other results
    before[..., 1], after[..., 1] = 3, 0.5  # loses nearly all that there was
    before[..., 2], after[..., 2] = 0.1, -0.2  # was hardly there
    rose, fell = verdict(before, after, np.random.default_rng(0))
    assert fell.tolist() == [1]
    assert rose[0] in (3, 4)


def test_equal_changes_are_drawn_by_lot() -> None:
    same = np.zeros((2000, 10, 5))
    rose, fell = verdict(same, same, np.random.default_rng(0))
    for found in (rose, fell):
        assert (np.abs(np.bincount(found, minlength=5) / 2000 - 0.2) < 0.04).all()
    assert (rose != fell).all()


def test_words_without_inflection_and_empty_labels() -> None:
    assert content_words("The galaxies of a Galaxy") == content_words("galaxy")
    judge = LocalJudge(["", "spiral galaxies"], embed, embed(["spiral galaxies"]), ["spiral galaxies"])
    assert np.isfinite(judge.read(embed(["x", "y"]), ["x", "y"]).by()).all()
