"""The harvest against a local OAI-PMH service (loopback only)."""

import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.corpora.arxiv import read_arxiv, set_of
from build.corpora.document import RawDocument
from sae.errors import UserError

PAGE = 10


def paper(number: int, *, deleted: bool = False, day: int | None = None, title: str = "") -> str:
    status = ' status="deleted"' if deleted else ""
    header = (
        f"<header{status}><identifier>oai:arXiv.org:2001.{number:05}</identifier>"
        f"<datestamp>2020-01-{day or 1 + number // PAGE:02}</datestamp><setSpec>cs</setSpec></header>"
    )
    if deleted:
        return f"<record>{header}</record>"
    categories = "cs.LG stat.ML" if number % 2 == 0 else "cs.CL"
    return (
        f'<record>{header}<metadata><arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>2001.{number:05}</id>'
        f"<created>2020-01-01</created><authors><author><keyname>Ito</keyname><forenames>Jun B.</forenames>"
        f"<suffix>Jr</suffix></author><author><keyname>Collaboration</keyname></author></authors>"
        f"<title>{title or f'Paper {number}'}\n  in two lines</title><categories>{categories}</categories>"
        f"<abstract>  Abstract {number} &amp; more.\n</abstract></arXiv></metadata></record>"
    )


def page(body: str, token: str = "", total: int = 0) -> str:
    if token or total:
        body += f'<resumptionToken completeListSize="{total}">{token}</resumptionToken>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        f"<ListRecords>{body}</ListRecords></OAI-PMH>"
    )


def oai_error(code: str) -> str:
    return (
        '<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/">'
        f'<error code="{code}">as the service says</error></OAI-PMH>'
    )


class Service:
    """A small OAI-PMH service over a list of records; ``faults`` are answered first, one a request."""

    def __init__(self, server: HTTPServer, records: list[str]) -> None:
        self.records = records
        self.faults: list[Response] = []
        self.requests: list[Request] = []
        self.expired: set[str] = set()  # refused once
        self.refuses_tokens = False
        self.url = server.url_for("/oai")
        server.expect_request("/oai").respond_with_handler(self.answer)

    def answer(self, request: Request) -> Response:
        self.requests.append(request)
        if self.faults:
            return self.faults.pop(0)
        token = request.args.get("resumptionToken", "")
        if token and (token in self.expired or self.refuses_tokens):
            self.expired.discard(token)
            return Response(oai_error("badResumptionToken"), content_type="text/xml")
        start = int(token) if token else 0
        if day := request.args.get("from"):
            start = next(i for i, r in enumerate(self.records) if f"<datestamp>{day}" in r)
        if not self.records:
            return Response(oai_error("noRecordsMatch"), content_type="text/xml")
        end = start + PAGE
        following = str(end) if end < len(self.records) else ""
        text = page("".join(self.records[start:end]), following, len(self.records))
        return Response(text, content_type="text/xml")


@pytest.fixture
def service(httpserver: HTTPServer) -> Service:
    return Service(httpserver, [paper(i) for i in range(35)])


class Clock:
    """Takes the place of time.sleep, and remembers what was slept."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def harvest(service: Service, folder: Path, clock: Clock | None = None, **options: Any) -> list[RawDocument]:
    options = {"category": "cs.LG", "delay": 3.0, "base_url": service.url, **options}
    return list(read_arxiv(folder, sleep=(clock or Clock()).sleep, **options))


def ids(documents: list[RawDocument]) -> list[str]:
    return [document.doc_id for document in documents]


EVEN = [f"2001.{i:05}" for i in range(0, 35, 2)]


def test_all_pages_are_read_and_filtered_by_category(service: Service, tmp_path: Path) -> None:
    clock = Clock()
    seen: list[tuple[int, int, str]] = []
    documents = harvest(service, tmp_path, clock, progress=lambda *p: seen.append(p), contact="a@b.example")
    assert ids(documents) == EVEN
    first = documents[0]
    assert (first.title, first.text) == ("Paper 0 in two lines", "Abstract 0 & more.")
    assert first.authors == ["Jun B. Ito Jr", "Collaboration"]
    assert first.categories == ["cs.LG", "stat.ML"]
    assert (first.url, str(first.date)) == ("https://arxiv.org/abs/2001.00000", "2020-01-01")
    assert clock.waits == [3.0] * 3
    assert seen[-1] == (35, 35, "page 4")
    assert seen[0] == (10, 35, "page 1")
    first_request = service.requests[0]
    assert first_request.args["set"] == "cs:cs:LG"
    assert first_request.args["metadataPrefix"] == "arXiv"
    assert "sextant" in first_request.headers["User-Agent"]
    assert "a@b.example" in first_request.headers["User-Agent"]
    assert dict(service.requests[1].args) == {"verb": "ListRecords", "resumptionToken": "10"}


def test_a_finished_harvest_is_not_asked_again(service: Service, tmp_path: Path) -> None:
    documents = harvest(service, tmp_path)
    n_requests = len(service.requests)
    assert harvest(service, tmp_path) == documents
    assert len(service.requests) == n_requests
    assert ids(harvest(service, tmp_path, limit=3)) == EVEN[:3]
    harvest(service, tmp_path, set="cs")  # another set is another harvest
    assert len(service.requests) == 2 * n_requests


@pytest.mark.parametrize("stop_at", [1, 2, 3])
def test_a_killed_harvest_goes_on_where_it_stopped(service: Service, tmp_path: Path, stop_at: int) -> None:
    class KilledError(Exception):
        pass

    def kill(done: int, total: int, note: str) -> None:
        if note == f"page {stop_at}":
            raise KilledError

    with pytest.raises(KilledError):
        harvest(service, tmp_path, progress=kill)
    (tmp_path / f"page-{stop_at + 1:06}.jsonl.gz").write_bytes(b"a page that was never finished")
    assert ids(harvest(service, tmp_path)) == EVEN
    assert len(service.requests) == 4


def test_busy_service_is_waited_for_as_it_asks(service: Service, tmp_path: Path) -> None:
    clock = Clock()
    service.faults = [
        Response("busy", 503, {"Retry-After": "17"}),
        Response("busy", 503, {"Retry-After": formatdate(time.time() + 100, usegmt=True)}),
        Response("slow down", 429),
        Response("oops", 500),
    ]
    assert ids(harvest(service, tmp_path, clock)) == EVEN
    assert clock.waits[0] == 17
    assert 90 < clock.waits[1] <= 100
    assert clock.waits[2:4] == [12.0, 24.0]


def test_a_wait_of_hours_is_left_to_the_user(service: Service, tmp_path: Path) -> None:
    service.faults = [Response("busy", 503, {"Retry-After": "7200"})]
    with pytest.raises(UserError, match="120 minutes; start again then"):
        harvest(service, tmp_path)
    assert ids(harvest(service, tmp_path)) == EVEN


BROKEN = [
    page("".join(paper(i) for i in range(10)), "10", 35)[:2500],
    "",
    "<html><body>Maintenance</body>",
    "nothing like XML",
    page(paper(0), "10", 35).replace("</metadata>", ""),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_broken_xml_is_asked_for_again_and_never_taken_for_a_short_page(
    service: Service, tmp_path: Path, broken: str
) -> None:
    service.faults = [Response(broken, content_type="text/xml")]
    assert ids(harvest(service, tmp_path)) == EVEN
    assert len(service.requests) == 5


def test_one_bad_character_does_not_stop_a_harvest_for_ever(httpserver: HTTPServer, tmp_path: Path) -> None:
    records = [paper(i, title="A bad \x02 character" if i == 4 else "") for i in range(15)]
    assert ids(harvest(Service(httpserver, records), tmp_path)) == EVEN[:8]


def test_a_cut_connection_is_retried(service: Service, tmp_path: Path) -> None:
    whole = page("".join(paper(i) for i in range(10)), "10", 35).encode()
    service.faults = [
        Response(whole[:1000], 200, {"Content-Length": str(len(whole))}, content_type="text/xml")
    ] * 2
    assert ids(harvest(service, tmp_path)) == EVEN


def test_a_dead_service_is_one_sentence_and_costs_nothing_that_was_there(
    service: Service, tmp_path: Path
) -> None:
    def break_down(done: int, total: int, note: str) -> None:
        if note == "page 2":
            service.faults = [Response("down", 500)] * 4

    with pytest.raises(UserError, match=r"failed 4 times \(status 500\).*after 20 records"):
        harvest(service, tmp_path, max_retries=3, progress=break_down)
    assert ids(harvest(service, tmp_path)) == EVEN
    with pytest.raises(UserError, match="failed 2 times"):
        harvest(service, tmp_path / "b", max_retries=1, base_url="http://127.0.0.1:9/oai")


def test_a_wrong_address_is_not_retried(service: Service, tmp_path: Path) -> None:
    service.faults = [Response("gone", 404)]
    with pytest.raises(UserError, match="answered 404"):
        harvest(service, tmp_path)
    assert len(service.requests) == 1


def test_deleted_and_changed_records(httpserver: HTTPServer, tmp_path: Path) -> None:
    records = [paper(0), paper(2, deleted=True), *(paper(i) for i in range(4, 24, 2))]
    records += [paper(4, day=28, title="Revised"), paper(6, day=28, deleted=True)]
    documents = harvest(Service(httpserver, records), tmp_path)
    assert ids(documents) == ["2001.00000", *(f"2001.{i:05}" for i in range(8, 24, 2)), "2001.00004"]
    assert documents[-1].title == "Revised in two lines"


def test_nothing_in_a_set_is_one_sentence(httpserver: HTTPServer, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no records for metadataPrefix arXiv, set cs:cs:LG"):
        harvest(Service(httpserver, []), tmp_path)


def test_an_unknown_set_says_what_the_service_said(service: Service, tmp_path: Path) -> None:
    service.faults = [Response(oai_error("badArgument"), content_type="text/xml")]
    with pytest.raises(UserError, match=r"refused .*set cs:cs:XX.*BadArgument, as the service says"):
        harvest(service, tmp_path, category="cs.XX")


def test_an_expired_token_goes_on_from_the_last_change(service: Service, tmp_path: Path) -> None:
    service.expired = {"20"}
    assert ids(harvest(service, tmp_path)) == EVEN
    assert [r.args.get("from") for r in service.requests if "from" in r.args] == ["2020-01-02"]


def test_an_expired_token_without_order_starts_over(httpserver: HTTPServer, tmp_path: Path) -> None:
    service = Service(httpserver, [paper(i, day=28 - i % 20) for i in range(35)])
    service.expired = {"20"}
    assert ids(harvest(service, tmp_path)) == EVEN
    assert not any("from" in request.args for request in service.requests)


def test_a_service_that_refuses_all_its_tokens_is_given_up(service: Service, tmp_path: Path) -> None:
    service.refuses_tokens = True
    with pytest.raises(UserError, match="its own tokens"):
        harvest(service, tmp_path)


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("cs.LG", "cs:cs:LG"), ("astro-ph", "physics:astro-ph"), ("astro-ph.GA", "physics:astro-ph:GA"),
        ("math.AG", "math:math:AG"), ("cs", "cs"), ("physics.optics", "physics:physics:optics"),
        ("hep-th", "physics:hep-th"),
    ],
)  # fmt: skip
def test_sets_of_categories(category: str, expected: str) -> None:
    assert set_of(category) == expected


def test_neither_category_nor_set() -> None:
    with pytest.raises(UserError, match="needs a category"):
        set_of("")
