"""Budgets and keys: no call costs more than was promised, and the key is found nowhere."""

import json
import logging
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.client import AnswerError, Client, Question, ServerConfig, SpentError
from build.llm.prices import chat_price
from build.llm.question import Answer
from build.llm.replies import tokens_of
from sae.errors import UserError
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion
from tests.build.llm.one_word import RIGHT, Word, answering, ask
from tests.build.servers import CANARY, send


def test_the_budget_holds_over_runs(httpserver: HTTPServer, client: MakeClient) -> None:
    model = FakeModel(httpserver, answering())
    question = Question("gpt-4o-mini", "Answer.", "0", Word)
    probe = client("nothing")
    promised = probe.price("gpt-4o-mini").usd(*tokens_of(question, probe.server))
    paid = 100 * 0.15e-6 + 10 * 0.6e-6
    budget = promised + 2.5 * paid
    for expected in (3, 3):  # the second run finds the budget spent, and the answers
        found = client(budget_usd=budget, concurrency=1)
        results = [
            answer
            for _, answer in found.answers(
                [Question("gpt-4o-mini", "Answer.", str(i), Word) for i in range(9)]
            )
        ]
        assert sum(isinstance(result, Answer) for result in results) == expected
        assert len(model.calls) == 3
        assert found.journal.spent_usd <= budget
        assert found.budget_reached
        assert "raise budget_usd" in found.report()
    more = client(budget_usd=1.0)
    assert isinstance(next(more.answers([Question("gpt-4o-mini", "Answer.", "8", Word)]))[1], Answer)
    other = client("another purpose", budget_usd=budget)
    assert other.journal.spent_usd == 0


@pytest.mark.parametrize("replies", ["json_schema", "json_object"])
def test_no_call_costs_more_than_was_promised(
    httpserver: HTTPServer, client: MakeClient, replies: str
) -> None:
    """Of a server that finds a token in every byte, and answers as long as it may."""

    def greedy(body: dict, number: int, request: Request) -> Response:
        read = sum(len(m["content"].encode()) for m in body["messages"])
        read += len(json.dumps(body.get("response_format", "")))
        usage = {"prompt_tokens": read, "completion_tokens": body["max_tokens"]}
        return send(completion(RIGHT, usage=usage))

    model = FakeModel(httpserver, greedy)
    for user in ("plain", "∑∫🙂" * 99, "a b c d " * 99, "\x01" * 99):
        found = client(f"for {user[:5]!r}", replies=replies)
        question = Question("gpt-4o-mini", "Answer.", user, Word)
        promised = found.price("gpt-4o-mini").usd(*tokens_of(question, found.server))
        assert promised / 2 < found.answer(question).attempts[0].usd <= promised
    assert len(model.calls) == 4


def test_a_budget_needs_a_price(client: MakeClient) -> None:
    with pytest.raises(UserError, match="needs its price"):
        client(budget_usd=1.0).check("a model of my own")
    client().check("a model of my own")
    assert chat_price("gpt-4o").input == pytest.approx(2.5e-6)


def test_the_key_is_found_nowhere(
    httpserver: HTTPServer, client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = []
    echo = {"error": {"message": f"Your key {CANARY} is bad", "code": CANARY}}
    for status in (200, 400, 401, 404, 429, 500):
        httpserver.clear()
        body = completion(f'{{"word": "{CANARY}"}}', refusal=CANARY) if status == 200 else echo
        FakeModel(httpserver, lambda b, n, r, body=body, status=status: send(body, status))
        found = client(retries=0)
        with pytest.raises((AnswerError, SpentError)) as caught:
            ask(found, str(status))
        said += [str(caught.value), repr(caught.value), repr(vars(found)), found.report(), repr(found.server)]
        found.close()
    assert CANARY not in "".join(said) + caplog.text
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes()


def test_a_missing_key_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with (
        Client(ServerConfig(), tmp_path / "j.sqlite", "labels") as client,
        pytest.raises(UserError, match="set the environment variable OPENAI_API_KEY"),
    ):
        client.check()
