"""Questions asked through the Batch API alone: half the price, an answer within a day.

A batch is written into the journal, with every call in it, before it is sent, and carries a tag: a process that is
killed at any moment finds its batches again, waits for them, and sends nothing twice. A line that the server says it
did not serve costs nothing; one that it lost counts as paid.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from build.llm.endpoint import Endpoint
from build.llm.errors import SpentError
from build.llm.journal import Journal
from build.llm.prices import BATCH_SHARE, ChatPrice
from build.llm.question import Question
from build.llm.replies import UnreadableError, chat_reply, read_answer, request_body, tokens_of
from build.server import one_line, without_key

_MOST_QUESTIONS, _MOST_BYTES = 20_000, 50 << 20  # of a batch; the API allows 50,000 and 200 MB
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0  # seconds between looks
_OVER = ("completed", "failed", "expired", "cancelled")
_TAG = "sextant"
_GIVE_UP_FROM = 5  # questions; a batch of so many without one answer ends the run
_REASON_LENGTH = 160

Prices = Callable[[str], ChatPrice | None]


class _EndedError(Exception):
    """A batch brought less than it should have; the text says what, without a full stop."""


class Batches:
    """Sends, waits, and settles. ``lost``: questions that failed in a batch, and why."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        self.endpoint, self.journal, self._sleep, self._say = endpoint, journal, sleep, say
        self.lost: dict[bytes, str] = {}

    def fill(self, questions: Sequence[Question[Any]], prices: Prices) -> None:
        """Have every question asked that has no usable answer, as often as the server's ``attempts`` say: what failed
        in one batch, or came back unusable, goes into the next, never into a call at the full price.

        Raises SpentError when no further one can be sent, after what was sent is settled.
        """
        with self._server():
            if problems := self._settle_pending(prices):
                raise SpentError(f"{problems[0]}. What is done is kept; run again to send a new batch.")
            for _ in range(self.endpoint.server.attempts):
                asked: dict[str, dict[bytes, tuple[Question[Any], int]]] = {}
                for question in questions:
                    digest = question.digest(self.endpoint.server.shapes)
                    number = self._next(question, digest)
                    if number is not None:
                        asked.setdefault(question.model, {})[digest] = (question, number)
                for model, own in asked.items():
                    for part in _parts({digest: self._line(digest, *entry) for digest, entry in own.items()}):
                        self._send(model, {digest: own[digest] for digest in part}, prices)

    def settle(self, prices: Prices) -> None:
        """Wait for the batches that an earlier run sent, and send none: what they bring is not asked again.

        Raises SpentError when the server cannot be asked about them. What went wrong with them is told through
        ``say``: their unanswered questions are free to be asked in calls of their own.
        """
        with self._server():
            for problem in self._settle_pending(prices):
                self._say(f"{problem}. What is missing is asked in calls of its own, at the full price.")

    def _settle_pending(self, prices: Prices) -> list[str]:
        """Settle the batches that were sent to this server; what is to be told of those that did not end well."""
        problems = []
        for tag, state in self.journal.batches().items():
            sent_to = state.get("server", self.endpoint.server.base_url)
            if sent_to != self.endpoint.server.base_url:
                self._say(
                    f"A batch is under way at {sent_to}, which is not asked in this run; it stays written down."
                )
                continue
            try:
                self._finish(tag, state, prices)
            except _EndedError as error:
                problems.append(str(error))
        return problems

    @contextmanager
    def _server(self) -> Iterator[None]:
        """Errors of the server as SpentError."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            raise SpentError(self.endpoint.refused(error).text) from None
        except openai.OpenAIError:
            url = self.endpoint.server.base_url
            raise SpentError(f"The server {url} cannot be reached; run again to go on.") from None

    def _next(self, question: Question[Any], digest: bytes) -> int | None:
        """The attempt that is to be made for a question; None where it is answered, refused or has had them all."""
        for number in range(self.endpoint.server.attempts):
            reply = self.journal.reply(digest, number)
            if reply is None:
                return number
            value, kind, _ = read_answer(question, reply)
            if value is not None or kind == "refused":
                break
        return None

    def _line(self, digest: bytes, question: Question[Any], number: int) -> str:
        body = request_body(question, self.endpoint.server, number)
        line = {"custom_id": digest.hex(), "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(line, ensure_ascii=False) + "\n"

    def _send(self, model: str, asked: dict[bytes, tuple[Question[Any], int]], prices: Prices) -> None:
        price, calls, lines = prices(model), {}, []
        spent: SpentError | None = None
        for digest, (question, number) in asked.items():
            most = tokens_of(question, self.endpoint.server, number)
            promised = BATCH_SHARE * price.usd(*most) if price else 0.0
            try:
                call = self.journal.begin(digest, number, model, promised)
            except SpentError as error:
                spent = error
                break
            calls[digest.hex()] = [call, promised, *most]
            lines.append(self._line(digest, question, number))
        if calls:
            tag = uuid.uuid4().hex
            server = self.endpoint.server.base_url
            state: dict[str, Any] = {"id": "", "server": server, "model": model, "calls": calls}
            self.journal.keep_batch(tag, state)
            self._say(f"Sending {len(calls):,} questions to {model} as a batch; answers come within a day.")
            client = self.endpoint.client
            file = client.files.create(file=("questions.jsonl", "".join(lines).encode()), purpose="batch")
            made = client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_TAG: tag},
            )
            self.journal.keep_batch(tag, state | {"id": made.id})
            try:
                self._finish(tag, state | {"id": made.id}, prices)
            except _EndedError as error:
                raise SpentError(f"{error}. What is done is kept; run again to send a new batch.") from None
        if spent:
            raise spent

    def _finish(self, tag: str, state: dict[str, Any], prices: Prices) -> None:
        """Wait for a batch and settle its calls. Raises _EndedError where it did not end well."""
        import openai

        client = self.endpoint.client
        if not state["id"]:  # killed while it was sent: did it arrive?
            state = state | {"id": self._find(tag)}
        if not state["id"]:
            self._settle(tag, state, {}, "the batch never arrived", prices)
            return
        pause = _FIRST_PAUSE
        lines: dict[str, bytes | str] = {}
        try:
            while (found := client.batches.retrieve(state["id"])).status not in _OVER:
                self._say(f"The batch of {len(state['calls']):,} questions is {str(found.status)[:20]}.")
                self._sleep(pause)
                pause = min(_LONGEST_PAUSE, 2 * pause)
            for file in (getattr(found, "error_file_id", None), found.output_file_id):
                if file:
                    lines |= _lines(client.files.content(file).content, self.endpoint.server.key_env)
        except openai.NotFoundError:
            self._settle(tag, state, {}, None, prices)  # it may have been served: it counts as paid
            raise _EndedError(
                f"The server knows a batch of {len(state['calls']):,} questions no longer; it counts as paid"
            ) from None
        completed = found.status == "completed"
        failed = self._settle(
            tag, state, lines, None if completed else f"the batch ended as {str(found.status)[:20]}", prices
        )
        n, answers = len(state["calls"]), len(state["calls"]) - len(failed)
        if not completed:
            raise _EndedError(f"A batch ended as {str(found.status)[:20]} with {answers:,} of {n:,} answers")
        if failed and not answers and n >= _GIVE_UP_FROM:
            raise _EndedError(f"A batch ended without one answer to its {n:,} questions ({failed[0]})")
        if failed:
            self._say(f"In a batch {len(failed):,} of {n:,} questions got no answer ({failed[0]}).")

    def _find(self, tag: str) -> str:
        for batch in self.endpoint.client.batches.list(limit=100):
            if (batch.metadata or {}).get(_TAG) == tag:
                return str(batch.id)
        return ""

    def _settle(
        self,
        tag: str,
        state: dict[str, Any],
        lines: dict[str, bytes | str],
        unbilled: str | None,
        prices: Prices,
    ) -> list[str]:
        """Write down what came of a batch's calls; gives the reasons of those without an answer.

        ``lines``: bodies of replies, or why there is none. ``unbilled``: why a call without a line cost nothing; None
        where it should have had one, so that it counts as paid.
        """
        price = prices(state["model"])
        half = ChatPrice(BATCH_SHARE * price.input, BATCH_SHARE * price.output) if price else None
        failed = []
        for name, (call, promised, read, written) in state["calls"].items():
            line = lines.get(name)
            reason = line if isinstance(line, str) else unbilled or "it came back without a line"
            try:
                if isinstance(line, bytes):
                    reason = "its line is not a chat reply"
                    reply = chat_reply(line, self.endpoint.server.key_env, half, (read, written))
                    self.journal.answered(call, bytes.fromhex(name), promised, reply)
                    continue
            except UnreadableError:
                pass  # the server says that it served it: it stays counted with the most that it can cost
            if isinstance(line, str) or (line is None and unbilled):
                self.journal.not_billed(call, bytes.fromhex(name), promised)
            failed.append(reason)
            self.lost[bytes.fromhex(name)] = f"no answer came in a batch: {reason}"
        self.journal.keep_batch(tag, None)
        return failed


def _parts(lines: dict[bytes, str]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    room = _MOST_BYTES
    for digest, line in lines.items():
        size = len(line.encode("utf-8", "replace"))
        if part and (size > room or len(part) == _MOST_QUESTIONS):
            yield part
            part, room = [], _MOST_BYTES
        part.append(digest)
        room -= size
    if part:
        yield part


def _lines(raw: bytes, key_env: str) -> dict[str, bytes | str]:
    """By custom_id: the body of a line that holds a reply, or the server's reason for there being none."""
    found: dict[str, bytes | str] = {}
    for line in raw.splitlines():
        try:
            entry = json.loads(line)
            name, response = str(entry["custom_id"]), entry.get("response")
            if response and response["status_code"] == 200:
                found[name] = json.dumps(response["body"]).encode()
                continue
            body = response["body"] if response else {}
            error = (body.get("error") if isinstance(body, dict) else None) or entry.get("error") or {}
            said = error.get("message") if isinstance(error, dict) else None
            status = f"status {response['status_code']}: " if response else ""
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        found[name] = one_line(without_key(f"{status}{said or 'no reason given'}", key_env), _REASON_LENGTH)
    return found
