"""Interpreters and predictors compared on the same documents."""

import numpy as np
from pytest_httpserver import HTTPServer

from build.llm.stage import interpreter_of, predictor_of
from sae.labelling.evidence import FeatureEvidence
from sae.labelling.label_pairs import compare_pairs, draw_features, summarise_pairs
from sae.labelling.phrases import Phrases
from sae.labelling.roles import LocalInterpreter, LocalPredictor, PlainInterpreter, PlainPredictor
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel
from tests.build.llm.planted_labels import OPTIONS, N
from tests.sae.planted import Planted


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
