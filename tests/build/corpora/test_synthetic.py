import numpy as np
import pytest

from build.corpora.clean import clean
from build.corpora.synthetic import read_synthetic, truth
from build.corpora.synthetic_topics import TOPICS
from sae.errors import UserError


def test_hierarchy_is_broad_enough_and_its_words_are_unambiguous() -> None:
    assert len(TOPICS) >= 8
    assert all(4 <= len(below) <= 6 for below in TOPICS.values())
    words = [word for below in TOPICS.values() for listed in below.values() for word in listed]
    assert len(words) == len(set(words))
    assert all(len(listed) == 8 for below in TOPICS.values() for listed in below.values())


def test_same_seed_same_documents_and_another_seed_others() -> None:
    first, again, other = (list(read_synthetic(300, seed)) for seed in (0, 0, 1))
    assert first == again
    assert not {d.text for d in first} & {d.text for d in other}
    assert clean(first)[1].num_rows == 0


def test_truth_is_what_the_text_is_about() -> None:
    documents = list(read_synthetic(400, seed=3))
    planted = truth(400, seed=3)
    assert planted.mentions.shape == (400, len(planted.names))
    words = {name: listed for below in TOPICS.values() for name, listed in below.items()}
    for document, mentions in zip(documents, planted.mentions, strict=True):
        topics = {planted.names[i] for i in np.flatnonzero(mentions)}
        assert topics == set(document.categories)
        spoken = {
            name for name, listed in words.items() if any(f" {w}" in f" {document.text}" for w in listed)
        }
        assert topics & set(words) <= spoken


def test_parents_hold_and_narrow_topics_number_one_to_three() -> None:
    planted = truth(2000, seed=0)
    narrow = planted.parents >= 0
    assert planted.names[planted.parents[planted.names.index("galaxies")]] == "astronomy"
    per_document = planted.mentions[:, narrow].sum(axis=1)
    assert set(per_document) == {1, 2, 3}
    for i in np.flatnonzero(narrow):
        assert planted.mentions[planted.mentions[:, i], planted.parents[i]].all()
    assert planted.mentions.sum(axis=0)[narrow].min() > 20


@pytest.mark.parametrize("n", [0, -1, 2_000_000])
def test_impossible_numbers(n: int) -> None:
    with pytest.raises(UserError, match="n_documents is"):
        list(read_synthetic(n))
