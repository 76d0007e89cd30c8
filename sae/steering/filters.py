"""Which documents a search may list: by date, by category, by features that are active in them."""

import datetime
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from sae.store import SAE, Corpus

Mask = npt.NDArray[np.bool_]
_NO_DATE = np.iinfo(np.int32).min


class DocumentFilter:
    """Dates and categories of a corpus, read once: 4 bytes a document and 4 a category entry.

    Attributes: categories (names, the most frequent first), n_in (documents in each), first, last (dates, or None
    where no document has one).
    """

    def __init__(self, corpus: Corpus) -> None:
        self.n_documents = corpus.n_documents
        dates = corpus.column("date").combine_chunks()
        days = pc.fill_null(dates.cast(pa.int32()), int(_NO_DATE))
        self._days = np.array(days, dtype=np.int32)
        known = self._days[self._days > _NO_DATE]
        self.first = _date(known.min()) if known.size else None
        self.last = _date(known.max()) if known.size else None
        lists = corpus.column("categories").combine_chunks()
        encoded = pc.dictionary_encode(pc.list_flatten(lists))
        self._codes = np.array(encoded.indices, dtype=np.int32)
        self._owners = np.array(pc.list_parent_indices(lists), dtype=np.int64)
        names = encoded.dictionary.to_pylist()
        counts = np.bincount(self._codes, minlength=len(names))
        order = np.argsort(-counts, kind="stable")
        self.categories: tuple[str, ...] = tuple(names[i] for i in order)
        self.n_in = {names[i]: int(counts[i]) for i in order}
        self._code = {name: code for code, name in enumerate(names)}

    def allowed(
        self,
        first: datetime.date | None = None,
        last: datetime.date | None = None,
        categories: Sequence[str] = (),
        features: Sequence[int] = (),
        sae: SAE | None = None,
    ) -> Mask | None:
        """bool (n_documents,): documents that may be listed; None for all of them.

        Dates are included; a document without one fails any bound. It must be in one of the ``categories`` and
        have all ``features`` of ``sae`` active. Categories that nothing is in leave nothing.
        """
        mask = np.ones(self.n_documents, bool)
        if first is not None:
            mask &= self._days >= _day(first)
        if last is not None:
            mask &= (self._days <= _day(last)) & (self._days > _NO_DATE)
        if categories:
            wanted = [self._code[name] for name in categories if name in self._code]
            inside = np.zeros(self.n_documents, bool)
            inside[self._owners[np.isin(self._codes, wanted)]] = True
            mask &= inside
        for feature in features if sae is not None else ():
            assert sae is not None
            active = np.zeros(self.n_documents, bool)
            documents, acts = sae.by_feature(feature)
            active[documents[acts > 0]] = True
            mask &= active
        return None if not (first or last or categories or features) else mask


def _day(date: datetime.date) -> int:
    return (date - datetime.date(1970, 1, 1)).days


def _date(day: np.int32) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=int(day))
