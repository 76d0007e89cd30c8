"""The client against a server that is busy, hangs, fails or is not there, and after being killed."""

import math
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.client import AnswerError, Client, Question, ServerConfig, SpentError
from build.llm.pace import Pace, asked_pause
from build.llm.question import Answer
from build.llm.replies import tokens_of
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel
from tests.build.llm.one_word import RIGHT, Word, ask
from tests.build.servers import CANARY, SPENT, cut, hang, send

ROOT = Path(__file__).parent.parent.parent.parent


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
        "from tests.build.llm.one_word import Word\n"
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
