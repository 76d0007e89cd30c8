"""The embedder against a server that misbehaves in every way that servers have been seen to."""

import json
import logging
import math
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.embedders import embed_corpus, make_embedder
from build.embedders.openai import OpenAIEmbedder
from build.embedders.spending import price_per_token
from build.tokens import tokens_at_most
from sae.errors import UserError
from tests.build.servers import CANARY, SPENT, send
from tests.build.servers import serve as serve_at

D_IN = 8
_numbers = count()


def vector(text: str) -> list[float]:
    """Not of unit length, and different for different texts."""
    return (2 + np.random.default_rng(list(text.encode())).normal(size=D_IN)).tolist()


def unit(texts: list[str]) -> np.ndarray:
    rows = np.array([vector(text) for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def reply(texts: list[str], **changes: Any) -> dict[str, Any]:
    data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
    usage = {"prompt_tokens": 7 * len(texts), "total_tokens": 7 * len(texts)}
    return {"object": "list", "model": "m", "data": data, "usage": usage} | changes


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEXTANT_TEST_KEY", CANARY)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.02)


def embedder(server: HTTPServer, **options: Any) -> OpenAIEmbedder:
    # Each its own model, because what a process has spent on a model is shared.
    model = options.pop("model", f"model-{next(_numbers)}")
    settings = {
        "base_url": server.url_for("/v1"),
        "key_env": "SEXTANT_TEST_KEY",
        "d_in": D_IN,
        "timeout": 5.0,
    }
    return OpenAIEmbedder(model, **(settings | options))


def serve(server: HTTPServer, answer: Callable[[list[str], int], Response]) -> list[Request]:
    """Let ``answer(texts, number of the call)`` answer; the list fills with the requests."""
    return serve_at(server, "/v1/embeddings", lambda body, number: answer(body["input"], number))


def test_rows_are_unit_and_in_the_order_of_the_texts(httpserver: HTTPServer) -> None:
    serve(httpserver, lambda texts, n: send(reply(texts)))
    texts = [f"text {i}" for i in range(600)]  # three calls
    found = embedder(httpserver).embed(texts)
    assert found.dtype == np.float32
    assert found.shape == (600, D_IN)
    np.testing.assert_allclose(found, unit(texts), atol=1e-6)


def test_shuffled_replies_are_put_in_order(httpserver: HTTPServer) -> None:
    serve(httpserver, lambda texts, n: send(reply(texts, data=reply(texts)["data"][::-1])))
    np.testing.assert_allclose(embedder(httpserver).embed(["a", "b", "c"]), unit(["a", "b", "c"]), atol=1e-6)


def changed(texts: list[str], **changes: Any) -> dict[str, Any]:
    """A reply with its last item changed."""
    data = reply(texts)["data"]
    data[-1] |= changes
    return reply(texts, data=data)


BAD = {
    "nan": (lambda t: changed(t, embedding=[math.nan] * D_IN), "not finite"),
    "one infinity": (lambda t: changed(t, embedding=[1.0] * (D_IN - 1) + [math.inf]), "not finite"),
    "too large": (lambda t: changed(t, embedding=[1e300] * D_IN), "not finite"),
    "zeros": (lambda t: changed(t, embedding=[0.0] * D_IN), "zeros"),
    "narrow": (lambda t: changed(t, embedding=[1.0] * 3), "3 numbers instead of 8"),
    "words": (lambda t: changed(t, embedding=["x"] * D_IN), "not an embeddings reply"),
    "no vector": (lambda t: changed(t, embedding=None), "not an embeddings reply"),
    "an index twice": (lambda t: changed(t, index=0), "not one for each"),
    "an index too large": (lambda t: changed(t, index=9), "not one for each"),
    "no index": (lambda t: changed(t, index=None), "not an embeddings reply"),
    "one missing": (lambda t: reply(t, data=reply(t)["data"][1:]), "2 vectors for 3 texts"),
    "one too many": (lambda t: reply([*t, "more"]), "4 vectors for 3 texts"),
    "none": (lambda t: reply(t, data=[]), "not an embeddings reply"),
    "no data": (lambda t: {"hello": "world"}, "not an embeddings reply"),
    "a list": (lambda t: [1, 2, 3], "not an embeddings reply"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_reply_is_refused(httpserver: HTTPServer, name: str) -> None:
    make, message = BAD[name]
    serve(httpserver, lambda texts, n: send(make(texts)))
    with pytest.raises(UserError, match=message):
        embedder(httpserver).embed(["a", "b", "c"])


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("<html>Welcome</html>", "text/html"),
        ("<html>", "application/json"),
        ('{"data": [', "application/json"),
        ("", ""),
    ],
)
def test_what_is_not_a_reply_at_all_is_refused(httpserver: HTTPServer, body: str, kind: str) -> None:
    serve(httpserver, lambda texts, n: Response(body, 200, content_type=kind))
    with pytest.raises(UserError, match="not an embeddings reply"):
        embedder(httpserver).embed(["a"])


@pytest.mark.parametrize("headers", [{}, {"retry-after-ms": "20"}])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_passing_trouble_is_tried_again(httpserver: HTTPServer, status: int, headers: dict[str, str]) -> None:
    trouble = {"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}
    calls = serve(httpserver, lambda t, n: send(trouble, status, headers) if n < 2 else send(reply(t)))
    np.testing.assert_allclose(embedder(httpserver).embed(["a"]), unit(["a"]), atol=1e-6)
    assert len(calls) == 3


def test_retry_after_is_waited_for(httpserver: HTTPServer) -> None:
    serve(httpserver, lambda t, n: send({}, 429, {"retry-after-ms": "400"}) if n == 0 else send(reply(t)))
    start = time.monotonic()
    embedder(httpserver).embed(["a"])
    assert time.monotonic() - start >= 0.4


def test_lasting_trouble_ends(httpserver: HTTPServer) -> None:
    calls = serve(httpserver, lambda t, n: send({"error": {"message": "on fire"}}, 500))
    with pytest.raises(UserError, match="answered 500: on fire"):
        embedder(httpserver, retries=2).embed(["a"])
    assert len(calls) == 3


def test_a_spent_quota_is_asked_once(httpserver: HTTPServer) -> None:
    calls = serve(httpserver, lambda t, n: send(SPENT, 429))
    with pytest.raises(UserError, match="quota of the key in SEXTANT_TEST_KEY is spent"):
        embedder(httpserver).embed(["a"])
    assert len(calls) == 1


def test_a_hanging_server_is_given_up(httpserver: HTTPServer) -> None:
    def hang(texts: list[str], n: int) -> Response:
        time.sleep(0.6)
        return send(reply(texts))

    serve(httpserver, hang)
    with pytest.raises(UserError, match=r"did not answer within 0.2 s"):
        embedder(httpserver, timeout=0.2, retries=0).embed(["a"])


def test_no_server() -> None:
    lonely = OpenAIEmbedder("m", "http://127.0.0.1:9/v1", "SEXTANT_TEST_KEY", D_IN, retries=0)
    with pytest.raises(UserError, match="cannot be reached"):
        lonely.embed(["a"])


def test_texts_that_the_server_finds_too_long_are_cut_and_counted(httpserver: HTTPServer) -> None:
    too_long = {"error": {"message": "This model's maximum context length is 8192 tokens", "code": None}}
    serve(httpserver, lambda t, n: send(too_long, 400) if max(map(len, t)) > 1500 else send(reply(t)))
    made = embedder(httpserver)
    found = made.embed(["short", "x" * 5000])
    np.testing.assert_allclose(found, unit(["short", "x" * 1250]), atol=1e-6)
    assert made.truncated == 1


def test_a_server_that_is_never_pleased_ends(httpserver: HTTPServer) -> None:
    serve(httpserver, lambda t, n: send({"error": {"message": "input too long"}}, 400))
    with pytest.raises(UserError, match="answered 400"):
        embedder(httpserver).embed(["x" * 1000])


def test_what_is_done_before_an_error_is_kept(httpserver: HTTPServer, tmp_path: Path) -> None:
    texts = [f"text {i}" for i in range(1024)]  # four calls
    calls = serve(httpserver, lambda t, n: send({}, 400) if n == 2 else send(reply(t)))
    made = embedder(httpserver, workers=1)
    with pytest.raises(UserError, match="answered 400"):
        embed_corpus(made, texts, tmp_path / "cache.sqlite")
    assert len(calls) == 3
    before = len(calls)
    np.testing.assert_allclose(embed_corpus(made, texts, tmp_path / "cache.sqlite"), unit(texts), atol=1e-6)
    assert len(calls) - before == 2  # two of the four were kept
    sent = [text for call in calls[before:] for text in json.loads(call.get_data())["input"]]
    assert len(set(sent)) == len(sent) == 512


def test_the_budget_holds(httpserver: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text("[embeddings]\ncostly = 1000.0\n")  # a tenth of a cent a token
    monkeypatch.setattr(
        "build.embedders.openai.price_per_token", lambda model: price_per_token(model, prices)
    )
    texts = [f"text {i}" for i in range(1024)]
    tokens_a_call = sum(map(tokens_at_most, texts[:256]))

    def honest(t: list[str], n: int) -> Response:
        return send(reply(t, usage={"prompt_tokens": 0, "total_tokens": sum(map(tokens_at_most, t))}))

    calls = serve(httpserver, honest)
    made = embedder(httpserver, model="costly", budget_usd=2.5 * tokens_a_call * 1e-3)
    plan = made.plan(texts)
    assert plan.calls == 4
    assert plan.price_usd == pytest.approx(plan.tokens * 1e-3)
    assert calls == []
    with pytest.raises(UserError, match=r"budget of .* is reached"):
        embed_corpus(made, texts, tmp_path / "cache.sqlite")
    assert len(calls) == 2
    raised = embedder(httpserver, model="costly", budget_usd=100.0)
    embed_corpus(raised, texts, tmp_path / "cache.sqlite")
    assert len(calls) == 4


def test_a_budget_needs_a_price(httpserver: HTTPServer) -> None:
    with pytest.raises(UserError, match="needs its price"):
        embedder(httpserver, budget_usd=1.0)


def test_the_key_is_found_nowhere(
    httpserver: HTTPServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    messages = []
    for status in (400, 401, 403, 404, 429, 500):
        httpserver.clear()
        echo = {"error": {"message": f"Incorrect API key provided: {CANARY}", "code": CANARY}}
        calls = serve(httpserver, lambda t, n, status=status, echo=echo: send(echo, status))
        made = embedder(httpserver, retries=0)
        with pytest.raises(UserError) as caught:
            embed_corpus(made, ["a"], tmp_path / "cache.sqlite")
        assert calls[0].headers["Authorization"] == f"Bearer {CANARY}"
        assert caught.value.__cause__ is None
        messages += [str(caught.value), repr(caught.value), repr(made), made.name, repr(vars(made))]
    httpserver.clear()
    serve(httpserver, lambda t, n: send(reply(t)))
    embed_corpus(embedder(httpserver), ["a"], tmp_path / "cache.sqlite")
    assert CANARY not in "".join(messages) + caplog.text
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes()


def test_a_missing_key_is_told_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        make_embedder({"kind": "openai"}).embed(["a"])


def test_a_missing_key_is_found_before_a_build(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("MY_KEY", raising=False)
    np.save(tmp_path / "v.npy", np.ones((2, 1536)))
    openai = {"kind": "openai", "key_env": "MY_KEY"}
    for spec in (openai, {"kind": "precomputed", "path": str(tmp_path / "v.npy"), "query": openai}):
        with pytest.raises(UserError, match="environment variable MY_KEY"):
            make_embedder(spec).check()
    monkeypatch.setenv("MY_KEY", "k")
    make_embedder(openai).check()
    monkeypatch.delenv("MY_KEY")
    # A server of one's own often wants no key.
    make_embedder(openai | {"base_url": "http://127.0.0.1:1/v1"}).check()
    make_embedder({"kind": "minilm"}).check()
