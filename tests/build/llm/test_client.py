"""Answers of a model: checked, counted, kept, and never asked for again."""

from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer

from build.llm.client import AnswerError
from build.llm.question import wire_schema
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion
from tests.build.llm.one_word import RIGHT, Word, answering, ask
from tests.build.servers import send


def test_an_answer_is_checked_counted_and_never_asked_again(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    model = FakeModel(httpserver, answering())
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
    FakeModel(httpserver, answering())
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
    model = FakeModel(httpserver, answering(content))
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
    FakeModel(httpserver, answering('{"word": "\\ud800", "sure": 0}'))
    with pytest.raises(AnswerError, match="Invalid JSON"):
        ask(client(), "word")


def test_an_answer_to_another_question_is_none(httpserver: HTTPServer, client: MakeClient) -> None:
    FakeModel(httpserver, answering())
    with pytest.raises(AnswerError, match="for 3 instead of 4") as caught:
        ask(client(), check=lambda answer: "an answer for 3 instead of 4")
    assert caught.value.kind == "other question"


def test_a_damaged_journal_is_set_aside(
    httpserver: HTTPServer, client: MakeClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    FakeModel(httpserver, answering())
    (tmp_path / "llm.sqlite").write_bytes(b"not a database at all" * 300)
    assert ask(client()).value.word == "yes"
    assert (tmp_path / "llm.sqlite.damaged-1").is_file()
    assert "is damaged" in caplog.text
