"""Filters let through exactly the documents that a plain loop lets through."""

import datetime
from pathlib import Path

import numpy as np

from sae.steering.filters import DocumentFilter
from sae.store import open_store


def test_filters_are_those_of_a_plain_loop(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    sae = corpus.sae(corpus.saes[0])
    found = DocumentFilter(corpus)
    dates = corpus.column("date").to_pylist()
    categories = corpus.column("categories").to_pylist()
    acts, indices = sae.by_document(np.arange(corpus.n_documents))
    known = sorted(d for d in dates if d is not None)
    assert (found.first, found.last) == ((known[0], known[-1]) if known else (None, None))
    assert found.allowed() is None
    middle = known[len(known) // 2] if known else datetime.date(2020, 1, 1)
    wanted = found.categories[:2]
    feature = int(indices[0, 0])
    cases = [
        (middle, None, (), ()),
        (None, middle, (), ()),
        (None, None, wanted, ()),
        (None, None, ("no such",), ()),
        (None, None, (), (feature,)),
        (middle, known[-1] if known else None, wanted, (feature,)),
    ]
    for first, last, names, features in cases:
        mask = found.allowed(first, last, names, features, sae)
        expected = [
            (first is None or (day is not None and day >= first))
            and (last is None or (day is not None and day <= last))
            and (not names or any(name in names for name in own))
            and all((indices[row] == f)[acts[row] > 0].any() for f in features)
            for row, (day, own) in enumerate(zip(dates, categories, strict=True))
        ]
        assert mask is not None
        assert mask.tolist() == expected
    assert sum(found.n_in.values()) == sum(map(len, categories))
