"""One checked question to a language model: ``client.ask(model, system, user, schema)``.

Every reply is kept in a journal and counted against a budget before it is looked at. What is temporary (rate
limits, errors of the server, cut connections) is tried again; what will not mend (a spent quota, a refused key)
stops the client, which goes on giving the answers that it knows.
"""

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from build.embedders.base import share_out
from build.llm.endpoint import Endpoint, ServerConfig, Trouble
from build.llm.errors import AnswerError, BudgetError, SpentError
from build.llm.journal import Journal, Reply
from build.llm.pace import Pace, pause_after
from build.llm.prices import ChatPrice, price_within
from build.llm.question import Answer, Attempt, M, Question
from build.llm.replies import read_answer, request_body, tokens_of

__all__ = ["AnswerError", "Client", "Question", "ServerConfig", "SpentError"]

_GIVE_UP_AFTER = 5  # questions in a row that failed at the server after all their retries


class Client:
    """Asks questions, keeps what comes back.

    journal: file of the record of calls. purpose: what the calls are for; each purpose has its own budget, for
    the life of the file. budget_usd: None for no bound. batch: ask through the Batch API alone, telling ``say`` how it
    goes: what fails there is never asked at the full price. Safe to use from several threads.
    """

    def __init__(
        self,
        server: ServerConfig,
        journal: Path,
        purpose: str,
        budget_usd: float | None = None,
        pace: Pace | None = None,
        batch: bool = False,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.server = server
        self.endpoint = Endpoint(server)
        self.journal = Journal(journal, purpose, budget_usd)
        self.tally: Counter[str] = Counter()  # "answers", "from before", "calls", "tries again", "error: …"
        self.budget_reached = False
        self.heard: Callable[[], None] = lambda: None  # called after each answer, for progress
        self.stopped = ""  # why no further question is asked; "" while all is well
        self._pace = pace or Pace(server.per_minute)
        self._batch, self._say = batch, say
        self._lock = threading.Lock()
        self._stripes = [threading.Lock() for _ in range(256)]
        self._failures = 0
        self._prices: dict[str, ChatPrice | None] = {}
        self._lost: dict[bytes, str] = {}  # questions that failed in a batch, and why

    def ask(self, model: str, system: str, user: str, schema: type[M], max_tokens: int = 300) -> M:
        """A checked answer. Raises AnswerError when this question gets none, SpentError when none can be asked."""
        return self.answer(Question(model, system, user, schema, max_tokens)).value

    def answer(self, question: Question[M]) -> Answer[M]:
        """The same, with the calls that it took. What was answered before costs nothing and is not asked."""
        digest = question.digest(self.server.shapes)
        attempts: list[Attempt] = []
        kind, text = "server", "no attempt was made"
        with self._stripes[digest[0]]:  # the same question, asked by two threads, is asked once
            for number in range(self.server.attempts):
                reply = self.journal.reply(digest, number)
                if reply is None:
                    try:
                        reply = self._call(question, digest, number)
                    except AnswerError as error:
                        self._count(f"error: {error.kind}")
                        raise AnswerError(error.kind, str(error), tuple(attempts)) from None
                elif number == 0:
                    self._count("from before")
                value, kind, text = read_answer(question, reply)
                outcome = "ok" if value is not None else text
                attempts.append(Attempt(number, outcome, reply.input_tokens, reply.output_tokens, reply.usd))
                if value is not None:
                    self._count("answers")
                    return Answer(value, tuple(attempts))
                if kind == "refused":
                    break
        self._count(f"error: {kind}")
        raise AnswerError(kind, text, tuple(attempts))

    def answers(
        self, questions: Sequence[Question[M]]
    ) -> Iterator[tuple[int, Answer[M] | AnswerError | SpentError]]:
        """(position, answer or what went wrong), as they are done, ``concurrency`` at a time; nothing is raised."""
        if self._batch or self.journal.batches():
            self._run_batches(questions)

        def one(place: int) -> Answer[M] | AnswerError | SpentError:
            try:
                return self.answer(questions[place])
            except AnswerError as error:
                return error
            except SpentError as error:
                self._count("not asked")
                return error

        for found in share_out(one, range(len(questions)), self.server.concurrency):
            self.heard()
            yield found

    def price(self, model: str) -> ChatPrice | None:
        """None when it is not known. Raises UserError when there is a budget, which cannot hold without it."""
        if model not in self._prices:
            self._prices[model] = price_within(self.journal.budget_usd, model)
        return self._prices[model]

    def check(self, *models: str) -> None:
        """Raise UserError when the key is not there, or a budget lacks a price; nothing is asked."""
        self.endpoint.check()
        for model in models:
            self.price(model)

    def note(self) -> str:
        """A few words for progress."""
        errors = sum(count for name, count in self.tally.items() if name.startswith("error"))
        failed = f", {errors:,} errors" if errors else ""
        return f"{self.tally['answers']:,} answers{failed}, ${self.journal.spent_usd:,.2f} spent"

    def report(self) -> str:
        """One line on what was asked, what it cost, and what went wrong."""
        n, spent = self.tally, self.journal.spent_usd
        line = f"{n['answers']:,} answers, {n['from before']:,} of them known before; {n['calls']:,} calls"
        if n["tries again"]:
            line += f", {n['tries again']:,} of them tried again"
        line += f"; ${spent:,.4f} spent on {self.journal.purpose} so far"
        errors = {name.removeprefix("error: "): c for name, c in n.items() if name.startswith("error: ")}
        if errors:
            parts = ", ".join(f"{count:,} {name}" for name, count in sorted(errors.items()))
            line += f"; {sum(errors.values()):,} errors ({parts})"
        if n["not asked"]:
            line += f"; {n['not asked']:,} not asked"
        return f"{line}. {self.stopped}".strip()

    def close(self) -> None:
        self.journal.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(self, question: Question[Any], digest: bytes, number: int) -> Reply:
        """One reply, after as many tries as it takes. Raises AnswerError, or SpentError for good."""
        if self._batch:  # batches were sent before: what is missing now has failed there
            if self.stopped:
                raise SpentError(self.stopped)
            raise AnswerError("server", self._lost.get(digest, "no batch brought an answer"))
        body = request_body(question, self.server, number)
        most = tokens_of(question, self.server, number)
        price = self.price(question.model)
        promised = price.usd(*most) if price else 0.0
        once = hashlib.sha256(digest + bytes([number])).hexdigest()[:40]
        trouble = Trouble("The server was not asked.")
        for tries in range(self.server.retries + 1):
            if tries:
                self._count("tries again")
            self._pace.wait()
            if self.stopped:
                raise SpentError(self.stopped)
            try:
                call = self.journal.begin(digest, number, question.model, promised)
            except BudgetError as error:
                self.budget_reached = True
                raise self._stop(str(error)) from None
            self._count("calls")
            found = self.endpoint.call(body, once, price, most)
            if isinstance(found, Reply):
                self.journal.answered(call, digest, promised, found)
                self._failures = 0
                return found
            trouble = found
            if not found.billed:
                self.journal.not_billed(call, digest, promised)
            if found.ends == "all":
                raise self._stop(found.text)
            if found.ends:
                break
            if tries < self.server.retries:
                seconds = pause_after(tries) if found.pause is None else found.pause
                (self._pace.hold if found.everybody else self._pace.sleep)(seconds)
        self._failures += 1
        if self._failures >= _GIVE_UP_AFTER:
            self._stop(f"{trouble.text} What is done is kept; run again to go on.")
        raise AnswerError("server", trouble.text)

    def _run_batches(self, questions: Sequence[Question[Any]]) -> None:
        """Have the unanswered ones answered through the Batch API; the journal then knows them.

        With ``batch`` off, batches that an earlier run sent are waited for all the same: they are paid for.
        """
        from build.llm.batch import Batches

        batches = Batches(self.endpoint, self.journal, self._pace.sleep, self._say)
        try:
            if self._batch:
                batches.fill(questions, self.price)
            else:
                batches.settle(self.price)
        except SpentError as error:
            self.budget_reached = self.budget_reached or isinstance(error, BudgetError)
            self._stop(str(error))
        finally:
            self._lost |= batches.lost

    def _stop(self, reason: str) -> SpentError:
        with self._lock:
            self.stopped = self.stopped or reason
        return SpentError(self.stopped)

    def _count(self, name: str) -> None:
        with self._lock:
            self.tally[name] += 1
