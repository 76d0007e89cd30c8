"""Slider moves that bring a query nearer to a document that was found, or further from it."""

from collections.abc import Mapping, Sequence

from sae.why import Why

MOVES = 3


def more_like(after: Mapping[int, float], document: Mapping[int, float], n: int = MOVES) -> dict[int, float]:
    """Edits towards a document: the n features that it has most above the query, at the document's activation.

    ``after``: activations of the query as it is steered now; ``document``: active features of the document.
    """
    above = {f: act - max(0.0, after.get(f, 0.0)) for f, act in document.items() if act > after.get(f, 0.0)}
    return {f: document[f] for f in sorted(above, key=lambda f: -above[f])[:n]}


def less_like(
    after: Mapping[int, float],
    document: Mapping[int, float],
    found: Why,
    others: Sequence[Why],
    n: int = MOVES,
) -> dict[int, float]:
    """Edits away from a document: the n features that carry its score more than that of the other results, each
    lowered by the document's own activation.

    ``found``: why the document is found; ``others``: the same for the rest of the list.
    """
    usual = {f: sum(why.parts.get(f, 0.0) for why in others) / max(1, len(others)) for f in document}
    own = {f: found.parts.get(f, 0.0) - usual[f] for f in document if found.parts.get(f, 0.0) > 0}
    telling = [f for f in sorted(own, key=lambda f: -own[f]) if own[f] > 0][:n]
    if not telling and own:  # every result is here for the same reason
        telling = [max(own, key=lambda f: own[f])]
    return {f: after.get(f, 0.0) - document[f] for f in telling}
