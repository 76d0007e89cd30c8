"""Labels by a language model for planted topics: chosen, scored, kept with their history; and what goes wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.llm.client import Client
from build.llm.costs import labels_cost, pairs_cost
from build.llm.forms import checked_label
from build.llm.options import LabellerConfig, label_settings, read_labeller
from build.llm.stage import interpreter_of, label_tables, local_history, predictor_of
from sae import schema
from sae.labelling.evidence import LABEL, SCORE, FeatureEvidence, draw_evidence
from sae.labelling.label_pairs import compare_pairs, draw_features, summarise_pairs
from sae.labelling.labels import LABEL_TABLE, LabelResult, label_features
from sae.labelling.phrases import Phrases, prepare_phrases
from sae.labelling.roles import LocalInterpreter, LocalPredictor, PlainInterpreter, PlainPredictor
from sae.labelling.sampled_evidence import checked, sampled, shown
from sae.statistics import ByFeature
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion, right_answer
from tests.build.servers import CANARY, SPENT, cut, send
from tests.sae.planted import TOPICS, Planted, embed, planted_corpus

OPTIONS = LabellerConfig(kind="openai", candidates=3, check_documents=2, score_documents=4)
N = 6  # features, then a rare one and a dead one


@pytest.fixture(scope="module")
def corpus() -> Planted:
    found = planted_corpus()
    entries, n = found.by_feature, found.by_feature.n_latents
    kept = [*range(N), n - 2, n - 1]
    parts = [slice(entries.offsets[j], entries.offsets[j + 1]) for j in kept]
    lengths = [own.stop - own.start for own in parts]
    few = ByFeature(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([entries.documents[own] for own in parts]),
        np.concatenate([entries.activations[own] for own in parts]),
    )
    return Planted(found.texts, found.topics, found.embeddings, few)


@pytest.fixture(scope="module")
def phrases(corpus: Planted) -> Phrases:
    return prepare_phrases(corpus.texts, corpus.embeddings, embed)


@pytest.fixture(scope="module")
def evidence(corpus: Planted) -> list[FeatureEvidence]:
    return draw_evidence(corpus.embeddings, corpus.by_feature, seed=1)


@pytest.fixture(scope="module")
def local(phrases: Phrases, evidence: list[FeatureEvidence]) -> LabelResult:
    return label_features(phrases, evidence)


Run = Callable[..., tuple[Any, ...]]


@pytest.fixture
def run(corpus: Planted, phrases: Phrases, evidence: list[FeatureEvidence], local: LabelResult) -> Run:
    def label(client: Client, written: dict[int, str] | None = None) -> tuple[Any, ...]:
        return label_tables(
            client, OPTIONS, phrases, corpus.texts, evidence, local, written or {}, 1, lambda *_: None
        )

    return label


def test_topics_are_named_scored_and_remembered(
    httpserver: HTTPServer, client: MakeClient, run: Run, evidence: list[FeatureEvidence]
) -> None:
    model = FakeModel(httpserver)
    labels, scores, shown_rows, history = run(client(), {1: "Words and models"})
    assert labels.schema.equals(LABEL_TABLE)
    assert shown_rows.schema.equals(schema.EVIDENCE_COLUMNS)
    names = [name.title() for name in list(TOPICS)[:N]]
    assert labels["label"].to_pylist()[0] == names[0]
    assert labels["label"].to_pylist()[1] == "Words and models"
    assert labels["source"].to_pylist() == ["llm", "person", *["llm"] * 5, "none"]
    rows = scores.to_pylist()
    assert [row["status"] for row in rows] == ["scored"] * N + ["too rare", "dead"]
    assert rows[0]["pearson_random"] > 0.95
    assert rows[1]["pearson_random"] < 0.5  # a person's label is scored like any other
    assert rows[0]["n_scored"] == 12
    tried = [row for row in history.to_pylist() if row["feature_id"] == 0]
    assert [row["label"] for row in tried] == ["Good performance", names[0], "Data"]
    assert [row["chosen"] for row in tried] == [False, True, False]
    assert tried[1]["objective"] > 0.9 > tried[2]["objective"]
    assert tried[0]["reason"] == "all say so"
    assert tried[0]["input_tokens"] == 100
    assert tried[1]["input_tokens"] == 0
    assert set(tried[0]["documents"]) <= set(evidence[0].documents[evidence[0].halves == LABEL].tolist())
    first = [table.to_pylist() for table in (labels, scores, shown_rows, history)]
    asked = len(model.calls)
    again = run(client(), {1: "Words and models"})
    assert [table.to_pylist() for table in again] == first
    assert len(model.calls) == asked  # a rerun makes no call
    assert max(model.billed.values()) == 1


def test_a_server_that_misbehaves_loses_nothing(
    httpserver: HTTPServer, client: MakeClient, run: Run, tmp_path: Path
) -> None:
    """Passing trouble changes no label; lasting trouble of some answers is counted, and shown as what it is."""
    FakeModel(httpserver)
    calm = run(client())
    (tmp_path / "llm.sqlite").rename(tmp_path / "calm.sqlite")
    httpserver.clear()

    def trouble(body: dict[str, Any], number: int, request: Any) -> Any:
        if number % 11 == 3:
            return send({"error": {"message": f"slow down {CANARY}"}}, 429)
        if number % 13 == 5:
            return send({}, 500)
        if number % 17 == 7:
            return cut(request)
        asked = json.loads(body["messages"][1]["content"])
        if asked.get("feature_id") == 2:
            label = {"reason": "x", "label": "<img src=x onerror=alert(1)>"}
            return json.dumps({"feature_id": 2, "labels": [label]})
        if asked.get("feature_id") == 3:
            return json.dumps({"feature_id": 0, "labels": [{"reason": "x", "label": "Galaxies"}]})
        if "confidence" in str(body["response_format"]) and number % 19 == 4:
            return json.dumps({"question": asked["question"], "confidence": "NaN"})
        return None

    model = FakeModel(httpserver, trouble)
    found = client()
    labels, scores, shown_rows, history = run(found)
    assert max(model.billed.values()) == 1
    for j in (0, 1, 4, 5):
        assert labels["label"][j] == calm[0]["label"][j]
    for j, why in ((2, "LESS-THAN SIGN"), (3, "an answer for feature 0 instead of 3")):
        assert labels["source"][j].as_py() == "local"
        assert scores["status"][j].as_py() == "unscored"
        assert scores["pearson_random"][j].as_py() is None
        tried = [row for row in history.to_pylist() if row["feature_id"] == j]
        assert [row["kind"] for row in tried] == ["openai", "openai", "local"]
        assert why in tried[0]["outcome"]
        assert tried[2]["chosen"]
    report = found.report()
    assert "wrong form" in report
    assert "other question" in report
    text = "".join(str(table.to_pylist()) for table in (labels, scores, shown_rows, history)) + report
    assert "<img" not in text
    assert CANARY not in text
    for file in tmp_path.iterdir():
        assert CANARY.encode() not in file.read_bytes()


def test_failed_predictions_are_errors_and_never_scores(
    httpserver: HTTPServer, client: MakeClient, run: Run
) -> None:
    def trouble(body: dict[str, Any], number: int, request: Any) -> Any:
        asked = json.loads(body["messages"][1]["content"])
        return "no idea" if asked.get("label", "").startswith("Spiral") else None

    FakeModel(httpserver, trouble)
    labels, scores, _, history = run(client())
    assert "Spiral Galaxies" in labels["label"].to_pylist() or scores["status"][0].as_py() == "scored"
    tried = {row["label"]: row for row in history.to_pylist() if row["feature_id"] == 0}
    assert tried["Spiral Galaxies"]["objective"] is None
    assert tried["Spiral Galaxies"]["outcome"] == "the answer is not JSON"
    assert tried["Spiral Galaxies"]["errors"] == 6


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


def test_the_same_pairs_on_the_same_documents(
    httpserver: HTTPServer,
    client: MakeClient,
    corpus: Planted,
    phrases: Phrases,
    evidence: list[FeatureEvidence],
) -> None:
    FakeModel(httpserver)
    asking = client("pairs")
    pairs = [
        (LocalInterpreter(phrases), LocalPredictor(phrases)),
        (PlainInterpreter(phrases), PlainPredictor(phrases)),
        (
            interpreter_of("gpt-4o", asking, OPTIONS, phrases, corpus.texts),
            predictor_of("gpt-4o-mini", asking, OPTIONS, phrases, corpus.texts),
        ),
        (
            interpreter_of("gpt-4o", asking, OPTIONS, phrases, corpus.texts),
            predictor_of("local", asking, OPTIONS, phrases, corpus.texts),
        ),
    ]
    n_active = np.array([drawn.n_active for drawn in evidence])
    features = draw_features(n_active, 50, 0)
    assert features == list(range(N))
    assert draw_features(n_active, 3, 0) == draw_features(n_active, 3, 0)
    rows = compare_pairs(pairs, features, [evidence[j] for j in features], 4, 0)
    assert len(rows) == 4 * N
    assert {row["status"] for row in rows} == {"scored"}
    summary = summarise_pairs(rows, 0)
    known = {(row["interpreter"], row["predictor"], row["measure"]): row for row in summary}
    best = known["local", "local", "pearson_random"]
    assert best["value"] > 0.8
    assert best["low"] <= best["value"] <= best["high"]
    assert best["n"] == N
    # The fake model's first label is always the same bad one: its pair must be told apart.
    assert known["gpt-4o", "gpt-4o-mini", "pearson_random"]["value"] < 0.5


def test_pairs_count_errors(
    httpserver: HTTPServer,
    client: MakeClient,
    corpus: Planted,
    phrases: Phrases,
    evidence: list[FeatureEvidence],
) -> None:
    FakeModel(httpserver, lambda b, n, r: "no")
    asking = client("pairs")
    pair = (
        interpreter_of("m", asking, OPTIONS, phrases, corpus.texts),
        predictor_of("m", asking, OPTIONS, phrases, corpus.texts),
    )
    rows = compare_pairs([pair], [0, 1], evidence[:2], 4, 0)
    assert {(row["status"], row["errors"], row["n_scored"]) for row in rows} == {("error", 12, 0)}
    assert rows[0]["reason"] == "the answer is not JSON"
    assert "pearson_random" not in rows[0]
    assert {(row["value"], row["n"], row["errors"]) for row in summarise_pairs(rows, 0)} == {(None, 0, 2)}


def test_nothing_scored_was_seen(evidence: list[FeatureEvidence]) -> None:
    for drawn in evidence[:N]:
        seen = set(drawn.documents[shown(drawn).all].tolist())
        compared = set(drawn.documents[checked(drawn, 3)].tolist())
        few = sampled(drawn, 4)
        scored = set(few.documents[few.halves == SCORE].tolist())
        assert not seen & compared
        assert not (seen | compared) & scored
        assert len(few.documents[few.halves == SCORE]) == 12


def test_history_of_local_labels(local: LabelResult, evidence: list[FeatureEvidence]) -> None:
    table = local_history(local, evidence, {1: "Mine"})
    assert table.schema.equals(schema.LABEL_HISTORY_COLUMNS)
    rows = table.to_pylist()
    for j in range(N):
        own = [row for row in rows if row["feature_id"] == j]
        assert [row["number"] for row in own] == list(range(len(own)))
        assert [row["label"] for row in own if row["chosen"]] == ["Mine" if j == 1 else local.labels[j]]


@pytest.mark.parametrize(
    "label",
    [
        "",
        "a b c d e f g h i",
        "x" * 101,
        "<b>x</b>",
        "[a](b)",
        "`x`",
        "see http://x.org",
        "a\u202eb",
        "a\x00b",
        "…",
        "$x$",
    ],
)
def test_labels_that_are_none(label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        checked_label(label)


def test_labels_that_are_some() -> None:
    for label in (
        "Graph neural networks",
        "C*-algebras & K-theory",
        "α-β pruning",
        "機械学習",
        "Naïve Bayes (text)",
    ):
        assert checked_label(f" {label}\n") == label


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


def test_options() -> None:
    from dataclasses import replace

    from build.config import load_profile
    from sae.errors import UserError

    tiny = load_profile("tiny")
    assert read_labeller(tiny).compared == (("local", "local"), ("plain", "plain"))
    table = {
        "kind": "openai",
        "base_url": "http://localhost:1/v1",
        "pairs": [["gpt-4o", "local"]],
        "candidates": 2,
    }
    found = read_labeller(replace(tiny, labeller=table))
    assert found.server.base_url == "http://localhost:1/v1"
    assert found.compared[-1] == ("gpt-4o", "local")
    assert label_settings(tiny) == {}
    same = label_settings(replace(tiny, labeller=table | {"concurrency": 2}))
    assert same == label_settings(replace(tiny, labeller=table))
    for bad in ({"kind": "magic"}, {"models": 1}, {"pairs": ["x"]}, {"candidates": 0}, {"base_url": "ftp://x"},
                {"budget_usd": -1}, {"replies": "xml"}):  # fmt: skip
        with pytest.raises(UserError):
            read_labeller(replace(tiny, labeller=bad))
