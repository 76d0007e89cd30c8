"""Questions asked through the Batch API: half the price, an answer within a day.

A batch is written into the journal, with every call in it, before it is sent, and carries a tag: a process that is
killed at any moment finds its batches again, waits for them, and sends nothing twice.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from build.llm.endpoint import Endpoint
from build.llm.errors import SpentError
from build.llm.journal import Journal
from build.llm.prices import BATCH_SHARE, ChatPrice
from build.llm.question import Question
from build.llm.replies import UnreadableError, chat_reply, request_body
from build.tokens import tokens_at_most

_MOST_QUESTIONS, _MOST_BYTES = 20_000, 50 << 20  # of a batch; the API allows 50,000 and 200 MB
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0  # seconds between looks
_OVER = ("completed", "failed", "expired", "cancelled")
_TAG = "sextant"

Prices = Callable[[str], ChatPrice | None]


class Batches:
    """Sends, waits, and settles."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        sleep: Callable[[float], None],
        say: Callable[[str], None],
    ) -> None:
        self.endpoint, self.journal, self._sleep, self._say = endpoint, journal, sleep, say

    def fill(self, questions: Sequence[Question[Any]], prices: Prices) -> None:
        """Have every question answered that was not asked before. Raises SpentError when no further one can be
        sent, after what was sent is settled."""
        import openai

        try:
            for tag, state in self.journal.batches().items():
                self._finish(tag, state, prices)
            unknown = {}
            for question in questions:
                digest = question.digest(self.endpoint.server.shapes)
                if self.journal.reply(digest, 0) is None:
                    unknown[digest] = question
            for model in dict.fromkeys(question.model for question in unknown.values()):
                own = {d: q for d, q in unknown.items() if q.model == model}
                for part in _parts({d: self._line(d, q) for d, q in own.items()}):
                    self._send(model, {digest: own[digest] for digest in part}, prices)
        except openai.APIStatusError as error:
            raise SpentError(self.endpoint.refused(error).text) from None
        except openai.OpenAIError:
            url = self.endpoint.server.base_url
            raise SpentError(f"The server {url} cannot be reached; run again to go on.") from None

    def _line(self, digest: bytes, question: Question[Any]) -> str:
        body = request_body(question, self.endpoint.server, 0)
        line = {"custom_id": digest.hex(), "method": "POST", "url": "/v1/chat/completions", "body": body}
        return json.dumps(line, ensure_ascii=False) + "\n"

    def _send(self, model: str, questions: dict[bytes, Question[Any]], prices: Prices) -> None:
        price, calls, lines = prices(model), {}, []
        spent: SpentError | None = None
        for digest, question in questions.items():
            line = self._line(digest, question)
            most = tokens_at_most(line), question.max_tokens
            promised = BATCH_SHARE * price.usd(*most) if price else 0.0
            try:
                call = self.journal.begin(digest, 0, model, promised)
            except SpentError as error:
                spent = error
                break
            calls[digest.hex()] = [call, promised, *most]
            lines.append(line)
        if calls:
            tag = uuid.uuid4().hex
            state: dict[str, Any] = {"id": "", "model": model, "calls": calls}
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
            self._finish(tag, state | {"id": made.id}, prices)
        if spent:
            raise spent

    def _finish(self, tag: str, state: dict[str, Any], prices: Prices) -> None:
        """Wait for a batch and settle its calls."""
        client = self.endpoint.client
        if not state["id"]:  # killed while it was sent: did it arrive?
            state = state | {"id": self._find(tag)}
        if not state["id"]:
            self._settle(tag, state, {}, prices)
            return
        pause = _FIRST_PAUSE
        while (found := client.batches.retrieve(state["id"])).status not in _OVER:
            self._say(f"The batch of {len(state['calls']):,} questions is {str(found.status)[:20]}.")
            self._sleep(pause)
            pause = min(_LONGEST_PAUSE, 2 * pause)
        answers: dict[str, bytes] = {}
        if found.output_file_id:
            for name, body in _answers(client.files.content(found.output_file_id).content):
                answers[name] = body
        self._settle(tag, state, answers, prices)
        if found.status != "completed":
            raise SpentError(
                f"A batch ended as {str(found.status)[:20]} with {len(answers):,} of {len(state['calls']):,} answers. "
                "What is done is kept; run again to go on."
            )

    def _find(self, tag: str) -> str:
        for batch in self.endpoint.client.batches.list(limit=100):
            if (batch.metadata or {}).get(_TAG) == tag:
                return str(batch.id)
        return ""

    def _settle(self, tag: str, state: dict[str, Any], answers: dict[str, bytes], prices: Prices) -> None:
        price = prices(state["model"])
        half = ChatPrice(BATCH_SHARE * price.input, BATCH_SHARE * price.output) if price else None
        for name, (call, promised, read, written) in state["calls"].items():
            try:
                reply = chat_reply(
                    answers.get(name, b""), self.endpoint.server.key_env, half, (read, written)
                )
                self.journal.answered(call, promised, reply)
            except UnreadableError:
                self.journal.not_billed(call, promised)
        self.journal.keep_batch(tag, None)


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


def _answers(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """(custom_id, body) of each line that holds a reply."""
    for line in raw.splitlines():
        try:
            found = json.loads(line)
            response = found["response"]
            if response["status_code"] == 200:
                yield str(found["custom_id"]), json.dumps(response["body"]).encode()
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
