"""More and less like a document: moves worked out by hand."""

from sae.steering.rewriting import rewrite
from sae.steering.suggest import less_like, more_like
from sae.why import Why


def test_more_like_raises_what_the_document_has_above_the_query() -> None:
    after, document = {1: 5.0, 2: 1.0, 9: -3.0}, {1: 4.0, 2: 3.0, 3: 1.0, 4: 6.0, 9: 2.0}
    assert more_like(after, document, 2) == {4: 6.0, 2: 3.0}
    assert list(more_like(after, document)) == [4, 2, 9]  # pushed away counts as none
    assert more_like({1: 9.0}, {1: 2.0}) == {}


def test_less_like_lowers_what_carries_this_score_and_not_the_others() -> None:
    own = Why(0.5, {1: 0.3, 2: 0.2, 3: -0.1}, 0.1, 0.0)
    others = [Why(0.4, {1: 0.35}, 0.05, 0.0), Why(0.4, {1: 0.3}, 0.1, 0.0)]
    document = {1: 4.0, 2: 3.0, 3: 1.0}
    assert less_like({1: 5.0}, document, own, others) == {2: -3.0}
    assert less_like({1: 5.0}, document, own, [own, own]) == {1: 1.0}  # all are here for the same reason
    assert less_like({}, {3: 1.0}, own, others) == {}


def test_the_wish_in_words() -> None:
    assert rewrite("stars", [], []) == "stars"
    assert rewrite("stars", ["dust; gas"], []) == "stars, with emphasis on dust and gas"
    assert rewrite("stars", [], ["gas"]) == "stars without gas"
    assert rewrite("stars", ["dust"], ["gas"]) == "stars, with emphasis on dust rather than gas"
