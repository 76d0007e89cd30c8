"""The Batch API: half the price, the same answers, and nothing sent twice by a run that was killed."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.client import AnswerError, Question, SpentError
from build.llm.prices import chat_price
from build.llm.question import Answer
from build.llm.replies import tokens_of
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion
from tests.build.llm.one_word import RIGHT, Word
from tests.build.servers import CANARY, SPENT, send

QUESTIONS = [Question("gpt-4o-mini", "Answer.", str(i), Word) for i in range(6)]
PAID = (100 * 0.15e-6 + 10 * 0.6e-6) / 2


class FakeBatches:
    """Files and batches; each batch is looked at once before it is over.

    ``fails(number of the batch, number of the line)``: "error" for a line in the file of errors, "lost" for none,
    "garbage" for a served line that is no reply, else ``answer``.
    """

    def __init__(
        self,
        server: HTTPServer,
        status: str = "completed",
        answer: str = RIGHT,
        fails: Callable[[int, int], str] = lambda batch, line: "error" if (batch, line) == (1, 0) else "",
    ) -> None:
        self.status, self.answer, self.fails = status, answer, fails
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.looks = 0
        self.dies = False  # after the batch was taken, before anybody hears of it
        server.expect_request("/v1/files", method="POST").respond_with_handler(self._file)
        server.expect_request("/v1/batches", method="POST").respond_with_handler(self._make)
        server.expect_request("/v1/batches", method="GET").respond_with_handler(self._list)
        for i in range(1, 5):
            server.expect_request(f"/v1/batches/b{i}").respond_with_handler(self._look)
            for kind in ("out", "err"):
                server.expect_request(f"/v1/files/{kind}-b{i}/content").respond_with_handler(self._content)

    def _file(self, request: Request) -> Response:
        name = f"f{len(self.files) + 1}"
        self.files[name] = request.files["file"].read()
        return send({"id": name, "object": "file", "purpose": "batch"})

    def _make(self, request: Request) -> Response:
        body = json.loads(request.get_data())
        name = f"b{len(self.batches) + 1}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "status": "validating",
            "metadata": body["metadata"],
            "input_file_id": body["input_file_id"],
            "output_file_id": f"out-{name}",
            "error_file_id": f"err-{name}",
        }
        return send({}, 500) if self.dies else send(self.batches[name])

    def _list(self, request: Request) -> Response:
        return send({"object": "list", "data": list(self.batches.values()), "has_more": False})

    def _look(self, request: Request) -> Response:
        self.looks += 1
        over = self.looks > 1
        return send(
            self.batches[request.path.rsplit("/", 1)[1]] | {"status": self.status if over else "in_progress"}
        )

    def _content(self, request: Request) -> Response:
        kind, name = request.path.split("/")[-2].split("-")
        lines = self.files[self.batches[name]["input_file_id"]].decode().splitlines()
        out = []
        for number, line in enumerate(lines):
            entry: dict[str, Any] = {"custom_id": json.loads(line)["custom_id"], "error": None}
            body: dict[str, Any] = completion(f"{self.answer}")
            fails = self.fails(int(name[1:]), number)
            if fails == "garbage":
                body = {"welcome": "to this server"}
            if kind == "out" and fails in ("", "garbage"):
                out.append(json.dumps(entry | {"response": {"status_code": 200, "body": body}}))
            if kind == "err" and fails == "error":
                error = {"error": {"message": f"no such model; your key is {CANARY}"}}
                out.append(json.dumps(entry | {"response": {"status_code": 404, "body": error}}))
        out += [
            "not JSON",
            json.dumps({"custom_id": "ff", "response": {"status_code": 200, "body": completion(RIGHT)}}),
        ]
        return Response("\n".join(reversed(out)))


def test_a_batch_answers_at_half_the_price(
    httpserver: HTTPServer, client: MakeClient, slept: list[float]
) -> None:
    batches, model, said = FakeBatches(httpserver), FakeModel(httpserver, lambda b, n, r: RIGHT), []
    found = client(batch=True, say=said.append)
    answers = dict(found.answers(QUESTIONS))
    assert all(isinstance(answer, Answer) for answer in answers.values())
    # The one that failed goes into a second batch, not into a call at the full price.
    assert [len(file.splitlines()) for file in batches.files.values()] == [6, 1]
    assert model.calls == []
    assert answers[1].attempts[0].usd == pytest.approx(PAID)
    assert found.journal.spent_usd == pytest.approx(6 * PAID)
    assert found.journal.batches() == {}
    assert any("in_progress" in sentence for sentence in said)
    assert any("1 of 6 questions got no answer (status 404: no such model" in sentence for sentence in said)
    assert CANARY not in "".join(said)
    assert sum(slept) >= 5
    dict(client(batch=True).answers(QUESTIONS))
    assert (len(batches.batches), len(model.calls)) == (2, 0)


def test_a_batch_of_which_every_line_failed_is_told_and_not_paid_again(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    batches = FakeBatches(httpserver, fails=lambda batch, line: "error")
    model = FakeModel(httpserver, lambda b, n, r: RIGHT)
    found = client(batch=True)
    results = [answer for _, answer in found.answers(QUESTIONS)]
    assert all(isinstance(result, SpentError) for result in results)  # so that no store is published
    assert not found.budget_reached
    assert "without one answer to its 6 questions (status 404: no such model" in found.stopped
    assert CANARY not in found.stopped
    assert found.journal.spent_usd == pytest.approx(0)  # the server says that it served none
    assert (len(batches.batches), model.calls) == (1, [])
    again = client(batch=True)
    assert all(isinstance(result, SpentError) for _, result in again.answers(QUESTIONS))
    assert (len(batches.batches), model.calls) == (2, [])  # a new batch, and nothing at the full price


def test_a_line_that_goes_on_failing_is_one_questions_error(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    batches = FakeBatches(httpserver, fails=lambda batch, line: "error" if line == 0 else "")
    model = FakeModel(httpserver, lambda b, n, r: RIGHT)
    found = client(batch=True)
    answers = dict(found.answers(QUESTIONS))
    assert isinstance(answers[0], AnswerError)
    assert "no such model" in str(answers[0])
    assert sum(isinstance(answer, Answer) for answer in answers.values()) == 5
    assert not found.stopped
    assert "1 errors (1 server)" in found.report()
    assert (len(batches.batches), model.calls) == (2, [])


def test_a_line_that_may_have_been_served_counts_as_paid(httpserver: HTTPServer, client: MakeClient) -> None:
    """Lost, or served as something that is no reply; within a budget that reaches for no second batch."""
    promised = 0.5 * chat_price("gpt-4o-mini").usd(*tokens_of(QUESTIONS[0], client("probe").server))
    batches = FakeBatches(httpserver, fails=lambda batch, line: ("lost", "garbage")[line % 2])
    model = FakeModel(httpserver, lambda b, n, r: RIGHT)
    budget = 6.5 * promised
    for _ in range(2):
        found = client(batch=True, budget_usd=budget)
        assert all(isinstance(result, SpentError) for _, result in found.answers(QUESTIONS))
        assert found.journal.spent_usd == pytest.approx(6 * promised)
    assert found.budget_reached  # in the second run: nothing is paid again beyond it
    assert (len(batches.batches), model.calls) == (1, [])


def test_an_answer_of_no_use_goes_into_another_batch(httpserver: HTTPServer, client: MakeClient) -> None:
    batches = FakeBatches(httpserver, answer="of no use", fails=lambda batch, line: "")
    model = FakeModel(httpserver, lambda b, n, r: RIGHT)
    found = client(batch=True)
    assert all(isinstance(result, AnswerError) for _, result in found.answers(QUESTIONS))
    assert [len(file.splitlines()) for file in batches.files.values()] == [6, 6]
    assert model.calls == []
    assert found.journal.spent_usd == pytest.approx(12 * PAID)


def test_a_batch_is_found_again(httpserver: HTTPServer, client: MakeClient) -> None:
    """Killed after the server took it, before its number was known; then while it was waited for."""
    batches, model = FakeBatches(httpserver), FakeModel(httpserver, lambda b, n, r: RIGHT)
    batches.dies = True
    found = client(batch=True)
    results = [answer for _, answer in found.answers(QUESTIONS)]
    assert all(isinstance(result, SpentError) for result in results)
    assert len(found.journal.batches()) == 1
    assert found.journal.spent_usd > 0  # it may have been billed
    batches.dies = False
    again = client(batch=True)
    assert sum(isinstance(answer, Answer) for _, answer in again.answers(QUESTIONS)) == 6
    # The five that were answered are not sent again; the one that failed is, alone.
    assert [len(file.splitlines()) for file in batches.files.values()] == [6, 1]
    assert model.calls == []
    assert again.journal.spent_usd == pytest.approx(6 * PAID)


def test_a_kill_while_a_batch_is_settled_counts_nothing_twice(
    httpserver: HTTPServer, client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = FakeBatches(httpserver)
    found, settled = client(batch=True), []
    answered = found.journal.answered

    def dying(*args: Any) -> None:
        if len(settled) == 3:
            raise KeyboardInterrupt
        settled.append(answered(*args))

    monkeypatch.setattr(found.journal, "answered", dying)
    with pytest.raises(KeyboardInterrupt):
        dict(found.answers(QUESTIONS))
    found.close()
    again = client(batch=True)
    assert sum(isinstance(answer, Answer) for _, answer in again.answers(QUESTIONS)) == 6
    assert len(batches.batches) == 2  # the second for the line that failed
    assert again.journal.spent_usd == pytest.approx(6 * PAID)
    assert client().journal.spent_usd == pytest.approx(6 * PAID)


def sent_and_lost_sight_of(batches: FakeBatches, client: MakeClient) -> None:
    """A run that ends after the server took its batch."""
    batches.dies = True
    found = client(batch=True)
    dict(found.answers(QUESTIONS))
    found.close()
    batches.dies = False


@pytest.mark.parametrize(("status", "fails"), [("completed", 1), ("cancelled", 1), ("completed", 6)])
def test_a_batch_under_way_is_waited_for_when_batches_are_switched_off(
    httpserver: HTTPServer, client: MakeClient, status: str, fails: int
) -> None:
    """Its answers are paid for: only what it did not answer is asked in calls of its own, and that is told."""
    batches = FakeBatches(httpserver, status, fails=lambda batch, line: "error" if line < fails else "")
    model, said = FakeModel(httpserver, lambda b, n, r: RIGHT), []
    sent_and_lost_sight_of(batches, client)
    again = client(say=said.append)
    assert all(isinstance(answer, Answer) for _, answer in again.answers(QUESTIONS))
    assert (len(batches.batches), len(model.calls)) == (1, fails)
    assert again.journal.spent_usd == pytest.approx((6 - fails) * PAID + fails * 2 * PAID)
    assert again.journal.batches() == {}
    if status == "cancelled" or fails == 6:
        assert any("asked in calls of its own, at the full price" in sentence for sentence in said)
    assert not any("run again" in sentence or "not asked" in sentence for sentence in said)


def test_a_batch_that_the_server_forgot_counts_as_paid_and_holds_nobody_up(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    batches, model, said = FakeBatches(httpserver), FakeModel(httpserver, lambda b, n, r: RIGHT), []
    sent_and_lost_sight_of(batches, client)
    (tag, state), *_ = client().journal.batches().items()
    promised = client().journal.spent_usd
    client().journal.keep_batch(tag, state | {"id": "gone"})
    gone = send({"error": {"message": "No batch found with id 'gone'."}}, 404)
    httpserver.expect_request("/v1/batches/gone").respond_with_handler(lambda request: gone)
    again = client(say=said.append)
    assert all(isinstance(answer, Answer) for _, answer in again.answers(QUESTIONS))
    assert len(model.calls) == 6
    assert again.journal.spent_usd == pytest.approx(promised + 6 * 2 * PAID)
    assert again.journal.batches() == {}
    assert any("a batch of 6 questions no longer; it counts as paid" in sentence for sentence in said)


def test_a_batch_at_another_server_is_left_alone_and_told(httpserver: HTTPServer, client: MakeClient) -> None:
    batches, model, said = FakeBatches(httpserver), FakeModel(httpserver, lambda b, n, r: RIGHT), []
    sent_and_lost_sight_of(batches, client)
    (tag, state), *_ = client().journal.batches().items()
    client().journal.keep_batch(tag, state | {"server": "https://elsewhere.example/v1"})
    again = client(say=said.append)
    assert all(isinstance(answer, Answer) for _, answer in again.answers(QUESTIONS))
    assert (batches.looks, len(model.calls)) == (0, 6)
    assert list(again.journal.batches()) == [tag]
    assert any("https://elsewhere.example/v1, which is not asked" in sentence for sentence in said)


def test_a_batch_that_fails_ends_the_run(httpserver: HTTPServer, client: MakeClient) -> None:
    batches = FakeBatches(httpserver, status="expired")
    found = client(batch=True)
    results = [answer for _, answer in found.answers(QUESTIONS)]
    assert sum(isinstance(result, Answer) for result in results) == 5  # what came is kept
    assert "expired" in found.stopped
    assert found.journal.spent_usd == pytest.approx(5 * PAID)
    assert len(batches.batches) == 1


def test_a_spent_quota_and_a_budget(httpserver: HTTPServer, client: MakeClient) -> None:
    httpserver.expect_request("/v1/files", method="POST").respond_with_handler(lambda r: send(SPENT, 429))
    found = client(batch=True)
    assert all(isinstance(answer, SpentError) for _, answer in found.answers(QUESTIONS))
    assert "quota" in found.stopped
    httpserver.clear()
    batches = FakeBatches(httpserver)
    poor = client("poor", budget_usd=1e-6, batch=True)
    assert all(isinstance(answer, SpentError) for _, answer in poor.answers([QUESTIONS[0], QUESTIONS[1]]))
    assert poor.budget_reached
    assert len(batches.batches) == 0
