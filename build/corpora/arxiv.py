"""arXiv's metadata (CC0), harvested from arXiv itself: any category, politely, resumable over days."""

import datetime
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lxml import etree

from build.corpora.arxiv_metadata import arxiv_id, arxiv_url, has_category
from build.corpora.document import RawDocument
from build.corpora.harvest import OAI, Harvest, HarvestOptions, Record
from sae.errors import UserError
from sae.progress import Progress

BASE_URL = "https://oaipmh.arxiv.org/oai"
_ARXIV = "{http://arxiv.org/OAI/arXiv/}"
_ARCHIVES = (
    "astro-ph cond-mat gr-qc hep-ex hep-lat hep-ph hep-th math-ph nlin nucl-ex nucl-th physics quant-ph"
)
_PHYSICS = frozenset(_ARCHIVES.split())


def set_of(category: str) -> str:
    """arXiv's name of the set that holds a category: cs.LG is cs:cs:LG, astro-ph is physics:astro-ph."""
    archive, _, subject = category.partition(".")
    if not archive:
        raise UserError('The arxiv source needs a category, such as "cs.LG" or "astro-ph", or a set.')
    group = "physics" if archive in _PHYSICS else archive
    if subject:
        return f"{group}:{archive}:{subject}"
    return f"{group}:{archive}" if archive in _PHYSICS else archive


def read_arxiv(
    folder: Path,
    category: str = "",
    set: str = "",
    *,
    base_url: str = BASE_URL,
    from_date: str = "",
    until_date: str = "",
    delay: float = 3.0,
    max_retries: int = 8,
    contact: str = "",
    limit: int | None = None,
    progress: Progress | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[RawDocument]:
    """Papers that have a category (or a part of it) among theirs, in the order in which arXiv gives them.

    The first call harvests into ``folder``, page after page; called again after a stop it goes on where it
    stopped, and after the end it only reads. ``set`` harvests another set than the category's own. ``delay``
    is in seconds. Raises UserError when arXiv does not answer for long or knows no such set.
    """
    options = HarvestOptions(
        base_url=base_url,
        set=set or set_of(category),
        from_date=from_date,
        until_date=until_date,
        delay=delay,
        max_retries=max_retries,
        contact=contact,
    )
    harvest = Harvest(folder, options, parse_record, sleep)
    harvest.run(progress)
    n_given = 0
    for record in harvest.records():
        if limit is not None and n_given >= limit:
            return
        document = _document(record)
        if not category or has_category(document, category):
            n_given += 1
            yield document


def parse_record(element: etree._Element) -> Record:
    """An OAI-PMH record element of the arXiv format as plain values that JSON can hold."""
    header = element.find(f"{OAI}header")
    if header is None:
        return {"identifier": "", "datestamp": "", "deleted": True}
    record: Record = {
        "identifier": _text(header, f"{OAI}identifier"),
        "datestamp": _text(header, f"{OAI}datestamp"),
    }
    paper = element.find(f"{OAI}metadata/{_ARXIV}arXiv")
    if header.get("status") == "deleted" or paper is None:
        return record | {"deleted": True}
    names = ("id", "created", "title", "abstract", "categories")
    record |= {name: _text(paper, _ARXIV + name) for name in names}
    authors = paper.iterfind(f"{_ARXIV}authors/{_ARXIV}author")
    record["authors"] = [
        " ".join(
            part for name in ("forenames", "keyname", "suffix") if (part := _text(author, _ARXIV + name))
        )
        for author in authors
    ]
    return record


def _text(parent: etree._Element, path: str) -> str:
    return " ".join((parent.findtext(path) or "").split())


def _document(record: Record) -> RawDocument:
    doc_id = arxiv_id(record["id"])
    try:
        date = datetime.date.fromisoformat(record["created"])
    except ValueError:
        date = None
    return RawDocument(
        doc_id=doc_id,
        title=record["title"],
        text=record["abstract"],
        url=arxiv_url(doc_id),
        date=date,
        categories=record["categories"].split(),
        authors=record["authors"],
    )
