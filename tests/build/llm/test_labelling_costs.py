"""What labelling may cost: budgets, a spent quota, and bounds told beforehand."""

import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.costs import labels_cost, pairs_cost
from build.llm.options import LabellerConfig
from sae.labelling.labels import LabelResult
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion, right_answer
from tests.build.llm.planted_labels import OPTIONS, N, Run
from tests.build.servers import SPENT, send
from tests.sae.planted import Planted


def test_a_budget_ends_with_what_is_done(httpserver: HTTPServer, client: MakeClient, run: Run) -> None:
    model = FakeModel(httpserver)
    run(client("counting"))
    calls = len(model.calls)
    paid = calls * (100 * 0.15e-6 + 10 * 0.6e-6)
    found = client("labels", budget_usd=paid / 2)
    labels, scores, _, history = run(found)
    # What the other purpose paid for is known, so nothing is left to ask.
    assert found.journal.spent_usd == 0
    assert set(scores["status"].to_pylist()) == {"scored", "too rare", "dead"}
    assert labels.num_rows == N + 2
    assert history.num_rows > N


def test_a_spent_budget_leaves_local_labels_unscored(
    httpserver: HTTPServer, client: MakeClient, run: Run, local: LabelResult
) -> None:
    FakeModel(httpserver)
    found = client(budget_usd=0.003, concurrency=1)
    labels, scores, _, history = run(found)
    assert found.budget_reached
    assert found.journal.spent_usd <= 0.003
    status = scores["status"].to_pylist()
    assert "unscored" in status
    for j, source in enumerate(labels["source"].to_pylist()):
        if source == "local":
            assert labels["label"][j].as_py().startswith(local.labels[j])
    assert any("budget" in row["outcome"] for row in history.to_pylist())
    more = run(client(budget_usd=1.0))
    assert set(more[1]["status"].to_pylist()) == {"scored", "too rare", "dead"}


def test_a_spent_quota_stops_at_once(httpserver: HTTPServer, client: MakeClient, run: Run) -> None:
    model = FakeModel(httpserver, lambda b, n, r: send(SPENT, 429) if n >= 3 else None)
    found = client(concurrency=1)
    run(found)
    assert len(model.calls) == 4
    assert "quota" in found.stopped
    assert not found.budget_reached  # so that the stage ends as failed, and goes on from here


def test_costs_bound_what_is_asked(
    httpserver: HTTPServer, client: MakeClient, corpus: Planted, run: Run
) -> None:
    model = FakeModel(httpserver)
    found = client()
    run(found)
    cost = labels_cost(OPTIONS, N + 1, corpus.texts)
    assert len(model.calls) <= cost.calls
    assert found.journal.spent_usd <= cost.usd
    assert cost.likely_usd < cost.usd
    unknown = labels_cost(LabellerConfig(kind="openai", interpreter="mine"), 10, corpus.texts)
    assert unknown.usd is None
    assert "does not know" in str(unknown)
    assert pairs_cost(LabellerConfig(), corpus.texts).calls == 0
    half = labels_cost(LabellerConfig(kind="openai", batch=True), 10, corpus.texts)
    whole = labels_cost(LabellerConfig(kind="openai"), 10, corpus.texts)
    assert half.usd == pytest.approx(whole.usd / 2)


def test_costs_bound_what_the_worst_server_bills(
    httpserver: HTTPServer, client: MakeClient, corpus: Planted, run: Run
) -> None:
    """Every byte a token, every answer as long as it may be, every first one of no use."""
    seen: set[str] = set()

    def greedy(body: dict[str, Any], number: int, request: Request) -> Response:
        read = sum(len(m["content"].encode()) for m in body["messages"]) + len(
            json.dumps(body["response_format"])
        )
        asked = body["messages"][1]["content"]
        content = right_answer(body) if asked in seen else "of no use"
        seen.add(asked)
        return send(
            completion(content, usage={"prompt_tokens": read, "completion_tokens": body["max_tokens"]})
        )

    model = FakeModel(httpserver, greedy)
    found = client()
    labels, *_ = run(found)
    assert "llm" in labels["source"].to_pylist()
    cost = labels_cost(OPTIONS, N + 1, corpus.texts)
    assert cost.calls / 4 < len(model.calls) <= cost.calls
    assert cost.usd / 5 < found.journal.spent_usd <= cost.usd
