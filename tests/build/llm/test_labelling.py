"""Labels by a language model for planted topics: chosen, scored, kept with their history; and what goes wrong."""

import json
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

from build.llm.stage import local_history
from sae import schema
from sae.labelling.evidence import LABEL, SCORE, FeatureEvidence
from sae.labelling.labels import LABEL_TABLE, LabelResult
from sae.labelling.sampled_evidence import checked, sampled, shown
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel
from tests.build.llm.planted_labels import N, Run
from tests.build.servers import CANARY, cut, send
from tests.sae.planted import TOPICS


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
