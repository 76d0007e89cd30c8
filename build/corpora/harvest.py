"""A polite OAI-PMH harvest that goes on where it stopped: one compressed file a page, and a small state.

oaipmh-scythe brings the client and the protocol's errors. Waiting, retrying and parsing are done here: its
parser recovers from broken XML, which turns a page that was cut short into a shorter page, without error and
without the token that leads on; it reads Retry-After only as a number; and it keeps nothing on disk.
"""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx2
from lxml import etree
from oaipmh_scythe import Scythe
from oaipmh_scythe.config import HTTPConfig
from oaipmh_scythe.exceptions import BadResumptionToken, NoRecordsMatch, OAIPMHException
from oaipmh_scythe.response import OAIResponse

from sae.errors import UserError
from sae.progress import Progress, silent

OAI = "{http://www.openarchives.org/OAI/2.0/}"
_MAX_WAIT = 3600.0  # seconds; a server that asks for more is asked again later, by the user
_MAX_EXPIRED = 10  # tokens of one harvest; more means a service that cannot page
_RETRIED = frozenset({429, 500, 502, 503, 504})

Record = dict[str, Any]
"""One parsed record. ``identifier`` and ``datestamp`` are always there, ``deleted`` where it is deleted."""


@dataclass(frozen=True)
class HarvestOptions:
    """What is harvested, and how gently."""

    base_url: str  # Address of the OAI-PMH service.
    set: str  # The service's set; empty for everything that it has.
    metadata_prefix: str = "arXiv"  # Form of the records.
    from_date: str = ""  # YYYY-MM-DD: only records changed on this day or later.
    until_date: str = ""  # YYYY-MM-DD: only records changed on this day or before.
    delay: float = 3.0  # Seconds between two requests.
    max_retries: int = 8  # Times that one page is asked for again after a failure.
    contact: str = ""  # Mail address or page that the service can reach the harvester by.

    def query(self) -> dict[str, str]:
        """The first request's parameters."""
        query = {"verb": "ListRecords", "metadataPrefix": self.metadata_prefix, "set": self.set}
        query |= {"from": self.from_date, "until": self.until_date}
        return {name: value for name, value in query.items() if value}


@dataclass
class _State:
    """How far a harvest has come. Written after its page, so that a page without a state is fetched again."""

    query: dict[str, str]
    base_url: str
    n_pages: int = 0
    n_records: int = 0
    total: int = 0  # 0 while the service has not said
    token: str = ""
    latest: str = ""  # datestamp of the last record
    in_order: bool = True  # whether datestamps have only grown so far
    n_expired: int = 0
    done: bool = False


class Harvest:
    """The pages of one harvest in a folder of its own."""

    def __init__(
        self,
        folder: Path,
        options: HarvestOptions,
        parse: Callable[[etree._Element], Record],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = folder
        self.options = options
        self._parse = parse
        self._sleep = sleep
        folder.mkdir(parents=True, exist_ok=True)
        self._state = self._read_state()

    def run(self, progress: Progress | None = None) -> None:
        """Fetch what is missing. Raises UserError when the service does not answer or has nothing."""
        progress = progress or silent
        state = self._state
        agent = (
            f"sextant/0.1 (text search; {self.options.contact or 'metadata harvest, one request at a time'})"
        )
        with Scythe(self.options.base_url, http_config=HTTPConfig(user_agent=agent, timeout=120)) as client:
            client.client.follow_redirects = True
            first = True
            while not state.done:
                if not first:
                    self._sleep(self.options.delay)
                first = False
                self._next_page(client)
                progress(state.n_records, max(state.total, state.n_records), f"page {state.n_pages}")

    def records(self) -> Iterator[Record]:
        """Records of a finished harvest, each identifier once in its latest form, without deleted ones."""
        last: dict[str, tuple[int, int]] = {}
        for place, record in self._stored():
            last[record["identifier"]] = place
        for place, record in self._stored():
            if last[record["identifier"]] == place and not record.get("deleted"):
                yield record

    def _stored(self) -> Iterator[tuple[tuple[int, int], Record]]:
        for page in range(1, self._state.n_pages + 1):
            with gzip.open(self._page(page), "rt", encoding="utf-8") as lines:
                for number, line in enumerate(lines):
                    yield (page, number), json.loads(line)

    def _next_page(self, client: Scythe) -> None:
        state = self._state
        query = {"verb": "ListRecords", "resumptionToken": state.token} if state.token else dict(state.query)
        try:
            root = self._fetch(client, query)
        except NoRecordsMatch:
            if not state.n_pages:
                raise UserError(
                    f"{self.options.base_url} has no records for {_shown(state.query)}; check category, set and dates."
                ) from None
            state.done = True
            self._write_state()
            return
        except BadResumptionToken:
            self._begin_again()
            return
        except OAIPMHException as error:
            raise UserError(
                f"{self.options.base_url} refused {_shown(query)}: {type(error).__name__}, {error}. Check "
                "category, set and dates."
            ) from None
        records = [self._parse(element) for element in root.iterfind(f".//{OAI}record")]
        token = root.find(f".//{OAI}resumptionToken")
        self._write(self._page(state.n_pages + 1), records)
        for record in records:
            state.in_order &= record["datestamp"] >= state.latest
            state.latest = record["datestamp"]
        state.n_pages += 1
        state.n_records += len(records)
        state.token = (token.text or "").strip() if token is not None else ""
        size = token.get("completeListSize") if token is not None else None
        state.total = int(size) if size and size.isdecimal() else state.total
        state.done = not state.token
        self._write_state()

    def _begin_again(self) -> None:
        """A token expires after a day or so. Records that came in order of change go on from the last one."""
        state = self._state
        if not state.token:
            raise UserError(
                f"{self.options.base_url} refuses its own first page (bad resumption token); start again later."
            )
        state.token = ""
        state.n_expired += 1
        if state.n_expired > _MAX_EXPIRED:
            raise UserError(
                f"{self.options.base_url} refused {_MAX_EXPIRED} of its own tokens; start again later."
            )
        if state.in_order and state.latest and state.query.get("from") != state.latest[:10]:
            state.query = {**state.query, "from": state.latest[:10]}
        else:
            state.query = self.options.query()
            state.n_pages = state.n_records = 0
            state.latest, state.in_order = "", True
        self._write_state()

    def _fetch(self, client: Scythe, query: dict[str, str]) -> etree._Element:
        """One whole page, asked for again with growing pauses while the service is busy or answers cut."""
        for attempt in range(self.options.max_retries + 1):
            wait = min(2.0**attempt * max(self.options.delay, 0.01), _MAX_WAIT)
            try:
                # Not client.harvest, which looks for XML first and fails on a busy server's plain text.
                response = client.client.get(self.options.base_url, params=query)
                return _parse_page(response, query, mend=attempt > 0)
            except etree.XMLSyntaxError:
                problem = "an answer that is not whole XML"
            except httpx2.HTTPStatusError as error:
                status = error.response.status_code
                if status not in _RETRIED:
                    raise UserError(
                        f"{self.options.base_url} answered {status} to {_shown(query)}; check the address."
                    ) from None
                problem = f"status {status}"
                wait = max(wait, _retry_after(error.response.headers.get("retry-after", "")))
                if wait > _MAX_WAIT:
                    raise UserError(
                        f"{self.options.base_url} asks to wait {wait / 60:.0f} minutes; start again then, "
                        f"and the harvest goes on where it stopped."
                    ) from None
            except httpx2.TransportError as error:
                problem = f"{type(error).__name__}: {error}"
            if attempt < self.options.max_retries:
                self._sleep(wait)
        raise UserError(
            f"{self.options.base_url} failed {self.options.max_retries + 1} times ({problem}); start again "
            f"later, and the harvest goes on after {self._state.n_records:,} records."
        )

    def _page(self, number: int) -> Path:
        return self.folder / f"page-{number:06}.jsonl.gz"

    def _read_state(self) -> _State:
        fresh = _State(self.options.query(), self.options.base_url)
        try:
            stored = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            asked = stored.pop("asked")
            state = _State(**stored)
        except (OSError, ValueError, KeyError, TypeError):
            return fresh
        is_same = asked == self.options.query() and state.base_url == self.options.base_url
        pages_there = all(self._page(n).is_file() for n in range(1, state.n_pages + 1))
        return state if is_same and pages_there else fresh

    def _write_state(self) -> None:
        text = json.dumps(asdict(self._state) | {"asked": self.options.query()})
        partial = self.folder / "state.json.partial"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.folder / "state.json")

    def _write(self, path: Path, records: list[Record]) -> None:
        partial = path.with_name(path.name + ".partial")
        with gzip.open(partial, "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)
        partial.replace(path)


def _parse_page(response: httpx2.Response, query: dict[str, str], mend: bool) -> etree._Element:
    """A page's root element. Raises the service's own error, HTTPStatusError, or XMLSyntaxError when broken.

    With ``mend``, a page that is broken again but came whole (one bad character in an abstract) is recovered.
    """
    whole = response.content.rstrip().endswith(b"</OAI-PMH>")
    if whole:
        OAIResponse(response, query).raise_for_oaipmh_error()
    response.raise_for_status()
    parser = etree.XMLParser(resolve_entities=False, huge_tree=True, recover=mend and whole)
    return etree.fromstring(response.content, parser)


def _retry_after(value: str) -> float:
    """Seconds to wait from a Retry-After header: a number or a date; 0 when there is none."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0.0


def _shown(query: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in query.items() if name != "verb")
