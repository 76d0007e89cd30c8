"""The client against a server that misbehaves in every way that servers have been seen to."""

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.client import AnswerError, Client, Question, ServerConfig, SpentError
from build.llm.pace import Pace, asked_pause
from build.llm.prices import chat_price
from build.llm.question import Answer, wire_schema
from build.llm.replies import tokens_of
from sae.errors import UserError
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion
from tests.build.servers import CANARY, SPENT, cut, hang, send

ROOT = Path(__file__).parent.parent.parent.parent
RIGHT = json.dumps({"word": "yes", "sure": 0.5})


class Word(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str = Field(max_length=10, description="one word")
    sure: float = Field(ge=-1, le=1, allow_inf_nan=False)


def ask(client: Client, user: str = "?", **options: object) -> Answer[Word]:
    return client.answer(Question("gpt-4o-mini", "Answer.", user, Word, **options))  # type: ignore[arg-type]


def answering(content: str = RIGHT) -> object:
    return lambda body, number, request: content


def test_an_answer_is_checked_counted_and_never_asked_again(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    model = FakeModel(httpserver, answering())  # type: ignore[arg-type]
    first = ask(client())
    assert first.value == Word(word="yes", sure=0.5)
    assert first.attempts[0].usd == pytest.approx(100 * 0.15e-6 + 10 * 0.6e-6)
    again = client()
    assert ask(again) == first
    assert len(model.calls) == 1
    assert again.tally["from before"] == 1
    assert again.journal.spent_usd == pytest.approx(first.attempts[0].usd)
    form = model.calls[0]["response_format"]["json_schema"]
    assert form["strict"]
    assert form["schema"] == wire_schema(Word)
    assert form["schema"]["additionalProperties"] is False


def test_the_plain_form_of_asking(httpserver: HTTPServer, client: MakeClient) -> None:
    FakeModel(httpserver, answering())  # type: ignore[arg-type]
    assert client().ask("m", "Answer.", "?", Word).word == "yes"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("I think yes", "not JSON"),
        ("", "not JSON"),
        ('{"word": "yes", "sure": NaN}', "not JSON"),
        ('{"word": "yes", "sure": Infinity}', "not JSON"),
        ('{"word": "yes", "sure": 1e400}', "wrong form"),
        ('{"word": "yes", "sure": 1.5}', "wrong form"),
        ('{"word": "yes", "sure": "0.5"}', "wrong form"),
        ('{"word": "yes"}', "wrong form"),
        ('{"word": "yes", "sure": 0, "more": 1}', "wrong form"),
        ('{"word": "much too long a word", "sure": 0}', "wrong form"),
        ("[1, 2]", "wrong form"),
        ("[" * 5000, "not JSON"),
    ],
)
def test_an_unusable_answer_is_an_error_asked_for_twice_and_kept(
    httpserver: HTTPServer, client: MakeClient, content: str, kind: str
) -> None:
    model = FakeModel(httpserver, answering(content))  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(AnswerError) as caught:
            ask(client())
        assert caught.value.kind == kind
        assert len(caught.value.attempts) == 2
    assert len(model.calls) == 2
    assert model.calls[1]["max_tokens"] == 2 * model.calls[0]["max_tokens"]
    assert max(model.billed.values()) == 1


def test_a_second_attempt_may_do_better(httpserver: HTTPServer, client: MakeClient) -> None:
    FakeModel(httpserver, lambda body, number, request: "no" if number == 0 else RIGHT)
    found = ask(client())
    assert [attempt.outcome for attempt in found.attempts] == ["the answer is not JSON", "ok"]


def test_refused_and_cut_answers(httpserver: HTTPServer, client: MakeClient) -> None:
    refusal = completion(None, refusal="I cannot help with that")
    model = FakeModel(httpserver, lambda body, number, request: send(refusal))
    with pytest.raises(AnswerError, match="refused: I cannot") as caught:
        ask(client())
    assert caught.value.kind == "refused"
    assert len(model.calls) == 1  # asking again would be paid for again
    httpserver.clear()
    FakeModel(httpserver, lambda b, n, r: send(completion(RIGHT[:9], finish_reason="length")))
    with pytest.raises(AnswerError, match="cut off"):
        ask(client(), "another")


def test_half_characters_and_escapes_are_put_right(httpserver: HTTPServer, client: MakeClient) -> None:
    nasty = "no \ud800 \x1b[31m \u202e way"
    for status, body in ((200, completion(None, refusal=nasty)), (400, {"error": {"message": nasty}})):
        httpserver.clear()
        FakeModel(httpserver, lambda b, n, r, body=body, status=status: send(body, status))
        with pytest.raises(AnswerError) as caught:
            ask(client(), str(status))
        assert str(caught.value).isprintable()
        assert str(caught.value).encode()
    httpserver.clear()
    FakeModel(httpserver, answering('{"word": "\\ud800", "sure": 0}'))  # type: ignore[arg-type]
    with pytest.raises(AnswerError, match="Invalid JSON"):
        ask(client(), "word")


def test_an_answer_to_another_question_is_none(httpserver: HTTPServer, client: MakeClient) -> None:
    FakeModel(httpserver, answering())  # type: ignore[arg-type]
    with pytest.raises(AnswerError, match="for 3 instead of 4") as caught:
        ask(client(), check=lambda answer: "an answer for 3 instead of 4")
    assert caught.value.kind == "other question"


@pytest.mark.parametrize(
    ("headers", "waited"),
    [({}, 0.75), ({"retry-after": "7"}, 7.0), ({"retry-after-ms": "900"}, 0.9)],
)
def test_rate_limits_are_waited_for(
    httpserver: HTTPServer, client: MakeClient, slept: list[float], headers: dict[str, str], waited: float
) -> None:
    busy = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
    model = FakeModel(httpserver, lambda b, n, r: send(busy, 429, headers) if n < 2 else RIGHT)
    found = client()
    assert ask(found).value.word == "yes"
    assert len(model.calls) == 3
    assert sum(slept) >= waited * 2 if headers else sum(slept) >= waited
    assert found.tally["tries again"] == 2
    assert found.journal.spent_usd == pytest.approx(100 * 0.15e-6 + 10 * 0.6e-6)  # refused calls cost nothing


def test_a_very_long_pause_ends_the_run(httpserver: HTTPServer, client: MakeClient) -> None:
    model = FakeModel(httpserver, lambda b, n, r: send({}, 429, {"retry-after": "7200"}))
    with pytest.raises(SpentError, match="wait 120 minutes"):
        ask(client())
    assert len(model.calls) == 1


def test_passing_trouble_of_the_server(httpserver: HTTPServer, client: MakeClient) -> None:
    def trouble(body: dict, number: int, request: Request) -> Response | str | None:
        if number == 0:
            return send({"error": {"message": "on fire"}}, 500)
        if number == 1:
            return Response("<html>Bad gateway</html>", 502)
        if number == 2:
            return cut(request)
        if number == 3:
            return Response("<html>Welcome</html>", 200)
        if number == 4:
            return send({"choices": []})
        return RIGHT

    model = FakeModel(httpserver, trouble)
    found = client()
    assert ask(found).value.word == "yes"
    assert len(set(model.keys)) == 1  # one name for one call, so that a server can tell that it is the same
    promised = found.price("gpt-4o-mini").usd(
        *tokens_of(Question("gpt-4o-mini", "Answer.", "?", Word), found.server)
    )
    paid = 100 * 0.15e-6 + 10 * 0.6e-6
    # What was cut or came back as something else may have been billed, so it counts.
    assert found.journal.spent_usd == pytest.approx(paid + 3 * promised)


def test_a_hanging_server(httpserver: HTTPServer, client: MakeClient) -> None:
    FakeModel(httpserver, lambda b, n, r: hang(0.5) or RIGHT if n == 0 else RIGHT)
    assert ask(client(timeout=0.15)).value.word == "yes"
    httpserver.clear()
    FakeModel(httpserver, lambda b, n, r: hang(0.2) or RIGHT)
    with pytest.raises(AnswerError, match=r"did not answer within 0\.05 s"):
        ask(client(timeout=0.05, retries=1), "more")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (429, SPENT, "quota of the key in SEXTANT_TEST_KEY is spent"),
        (401, {"error": {"message": f"Incorrect API key provided: {CANARY}"}}, "refuses the key"),
        (403, {}, "refuses the key"),
        (404, {"error": {"message": "no such model"}}, "no such model"),
    ],
)
def test_what_will_not_mend_ends_the_run_and_known_answers_stay(
    httpserver: HTTPServer, client: MakeClient, status: int, body: dict, message: str
) -> None:
    model = FakeModel(httpserver, lambda b, n, r: RIGHT if n == 0 else send(body, status))
    found = client()
    known = ask(found)
    for user in ("other", "third"):
        with pytest.raises(SpentError, match=message):
            ask(found, user)
    assert len(model.calls) == 2  # the third was not even asked
    assert ask(found) == known
    assert message in found.report()


def test_a_question_that_the_server_dislikes_is_one_error(httpserver: HTTPServer, client: MakeClient) -> None:
    bad = {"error": {"message": "context too long"}}
    FakeModel(httpserver, lambda b, n, r: send(bad, 400) if "long" in b["messages"][1]["content"] else RIGHT)
    found = client()
    with pytest.raises(AnswerError, match="400: context too long"):
        ask(found, "long")
    assert ask(found).value.word == "yes"
    assert "1 errors (1 server)" in found.report()


def test_a_server_that_always_fails_is_left(httpserver: HTTPServer, client: MakeClient) -> None:
    model = FakeModel(httpserver, lambda b, n, r: send({}, 503))
    found = client(retries=1, concurrency=1)
    results = [answer for _, answer in found.answers([Question("m", "", f"{i}", Word) for i in range(20)])]
    assert len(model.calls) == 10
    assert sum(isinstance(result, SpentError) for result in results) >= 15


def test_nobody_there(tmp_path: Path) -> None:
    server = ServerConfig("http://127.0.0.1:9/v1", "SEXTANT_TEST_KEY", retries=1)
    with Client(server, tmp_path / "j.sqlite", "labels", pace=Pace(sleep=lambda s: None)) as client:
        with pytest.raises(AnswerError, match="cannot be reached"):
            ask(client)
        assert client.journal.spent_usd == 0


def test_many_at_once_bill_nothing_twice(httpserver: HTTPServer, client: MakeClient) -> None:
    def trouble(body: dict, number: int, request: Request) -> Response | str | None:
        if number % 5 == 1:
            return send({}, 500)
        if number % 7 == 2:
            return cut(request)
        return RIGHT

    model = FakeModel(httpserver, trouble)
    found = client(concurrency=8)
    questions = [Question("gpt-4o-mini", "Answer.", str(i % 20), Word) for i in range(60)]  # each three times
    results = [answer for _, answer in found.answers(questions)]
    assert all(isinstance(result, Answer) for result in results)
    assert len(model.billed) == 20
    assert max(model.billed.values()) == 1


def test_the_budget_holds_over_runs(httpserver: HTTPServer, client: MakeClient) -> None:
    model = FakeModel(httpserver, answering())  # type: ignore[arg-type]
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


def test_a_damaged_journal_is_set_aside(
    httpserver: HTTPServer, client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    FakeModel(httpserver, answering())  # type: ignore[arg-type]
    (tmp_path / "llm.sqlite").write_bytes(b"not a database at all" * 300)
    assert ask(client()).value.word == "yes"
    assert (tmp_path / "llm.sqlite.damaged-1").is_file()
    assert "is damaged" in caplog.text


def test_pauses() -> None:
    assert asked_pause({"retry-after": "12"}) == 12
    assert asked_pause({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, now=lambda: 1445412470.0) == 10
    for nonsense in ({}, {"retry-after": "soon"}, {"retry-after": "-3"}, {"retry-after": "nan"}):
        assert asked_pause(nonsense) is None or not math.isnan(asked_pause(nonsense))
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(60, clock=lambda: now[0], sleep=sleep)
    for _ in range(3):
        pace.wait()
    assert now[0] == pytest.approx(2.0)  # one a second
    pace.hold(30)
    pace.wait()
    assert now[0] == pytest.approx(32.0)


def test_a_killed_run_repeats_no_finished_call(httpserver: HTTPServer, tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom build.llm.client import *\n"
        "from tests.build.llm.test_client import Word\n"
        f"server = ServerConfig({httpserver.url_for('/v1')!r}, 'SEXTANT_TEST_KEY', concurrency=4)\n"
        f"client = Client(server, Path({str(tmp_path / 'j.sqlite')!r}), 'labels')\n"
        "found = [a for _, a in client.answers([Question('m', '', str(i), Word) for i in range(30)])]\n"
        "print(client.report())\n"
    )
    process: list[subprocess.Popen[str]] = []

    def trouble(body: dict, number: int, request: Request) -> Response | str | None:
        if number == 15 and len(process) == 1:
            process[0].kill()
        return RIGHT

    model = FakeModel(httpserver, trouble)

    def start() -> "subprocess.Popen[str]":
        return subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    process.append(start())
    process[0].communicate(timeout=600)
    server = ServerConfig(httpserver.url_for("/v1"), "SEXTANT_TEST_KEY")
    with Client(server, tmp_path / "j.sqlite", "labels") as client:
        questions = [Question("m", "", str(i), Word) for i in range(30)]
        kept = [q for q in questions if client.journal.reply(q.digest(server.shapes), 0) is not None]
    assert 0 < len(kept) < 30
    before = len(model.calls)
    process.append(start())
    output, _ = process[1].communicate(timeout=600)
    assert "30 answers" in output
    asked = {body["messages"][1]["content"] for body in model.calls[before:]}
    assert asked == {question.user for question in questions} - {question.user for question in kept}
    assert len(model.calls) == before + len(asked)
