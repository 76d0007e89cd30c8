"""The Batch API: half the price, the same answers, and nothing sent twice by a run that was killed."""

import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.client import Question, SpentError
from build.llm.question import Answer
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion
from tests.build.llm.test_client import RIGHT, Word
from tests.build.servers import CANARY, SPENT, send

QUESTIONS = [Question("gpt-4o-mini", "Answer.", str(i), Word) for i in range(6)]
PAID = (100 * 0.15e-6 + 10 * 0.6e-6) / 2


class FakeBatches:
    """Files and batches; each batch is looked at once before it is over."""

    def __init__(self, server: HTTPServer, status: str = "completed", answer: str = RIGHT) -> None:
        self.status, self.answer = status, answer
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.looks = 0
        self.dies = False  # after the batch was taken, before anybody hears of it
        server.expect_request("/v1/files", method="POST").respond_with_handler(self._file)
        server.expect_request("/v1/batches", method="POST").respond_with_handler(self._make)
        server.expect_request("/v1/batches", method="GET").respond_with_handler(self._list)
        for i in range(1, 5):
            server.expect_request(f"/v1/batches/b{i}").respond_with_handler(self._look)
            server.expect_request(f"/v1/files/out-b{i}/content").respond_with_handler(self._content)

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
        batch = self.batches[request.path.split("/")[-2].removeprefix("out-")]
        lines = self.files[batch["input_file_id"]].decode().splitlines()
        out = []
        for number, line in enumerate(lines):
            response = {"status_code": 200, "body": completion(f"{self.answer}")}
            if number == 0:
                response = {"status_code": 500, "body": {"error": {"message": CANARY}}}
            out.append(json.dumps({"custom_id": json.loads(line)["custom_id"], "response": response}))
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
    assert len(batches.batches) == 1
    assert len(model.calls) == 1  # the one that failed in the batch
    assert answers[1].attempts[0].usd == pytest.approx(PAID)
    assert found.journal.spent_usd == pytest.approx(5 * PAID + 2 * PAID)
    assert found.journal.batches() == {}
    assert any("in_progress" in sentence for sentence in said)
    assert sum(slept) >= 5
    dict(client(batch=True).answers(QUESTIONS))
    assert (len(batches.batches), len(model.calls)) == (1, 1)


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
    assert len(model.calls) == 1
    assert again.journal.spent_usd == pytest.approx(7 * PAID)


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
