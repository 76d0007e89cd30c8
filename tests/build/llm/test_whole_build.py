"""A whole build labelled by a model that misbehaves: killed, gone on with, read, and searched for the key."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from sae.storage import label_store
from sae.store import open_store
from tests.build.here import build
from tests.build.llm.fake import FakeModel
from tests.build.servers import CANARY, cut, send

ROOT = Path(__file__).parent.parent.parent.parent
PROFILE = """
held_out = 0.1
[[corpora]]
name = "planted"
examples = ["collisions between galaxies"]
source = {{ kind = "synthetic", n_documents = 200, seed = 0 }}
[embedder]
kind = "minilm"
[[saes]]
k = 3
n_latents = 32
[training]
steps = 60
batch_size = 256
learning_rate = 3e-3
[labeller]
kind = "openai"
base_url = "{url}"
key_env = "SEXTANT_TEST_KEY"
budget_usd = 5.0
candidates = 2
check_documents = 1
score_documents = 3
pair_features = 3
[evaluation]
queries = 10
"""


@pytest.mark.slow
def test_a_killed_build_goes_on_and_holds_no_key(httpserver: HTTPServer, tmp_path: Path) -> None:
    process: list[subprocess.Popen[str]] = []

    def trouble(body: dict[str, Any], number: int, request: Any) -> Any:
        if number == 60 and len(process) == 1:
            process[0].kill()
        if number % 23 == 3:
            return send({"error": {"message": f"slow down, {CANARY}"}}, 429, {"retry-after-ms": "5"})
        if number % 41 == 7:
            return cut(request)
        asked = json.loads(body["messages"][1]["content"])
        if "feature_id" not in asked:
            return None
        if asked["feature_id"] % 7 == 2:
            return f"no JSON, {CANARY}"
        words = re.findall(r"[a-z]{6,}", " ".join(item["document"] for item in asked["active"]).lower())
        often = sorted(set(words), key=lambda word: (-words.count(word), word))
        labels = [{"reason": "<b>often</b>", "label": word} for word in often[:2]]
        return json.dumps({"feature_id": asked["feature_id"], "labels": labels})

    model = FakeModel(httpserver, trouble)
    profile = tmp_path / "model.toml"
    profile.write_text(PROFILE.format(url=httpserver.url_for("/v1")))
    out = tmp_path / "store"

    def start() -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "build", "--profile", str(profile), "--out", str(out), "--plain"]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | {"OPENAI_LOG": "debug"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    process.append(start())
    said, _ = process[0].communicate(timeout=900)
    assert process[0].returncode != 0
    process.append(start())
    more, _ = process[1].communicate(timeout=900)
    assert process[1].returncode == 0, more
    assert max(model.billed[key] for key in model.billed) <= 2  # those under way at the kill, once more
    assert sum(count > 1 for count in model.billed.values()) <= 9
    assert "known before" in more
    assert "not JSON" in more
    asked = len(model.calls)
    assert build("--profile", profile, "--out", out) == 0
    assert len(model.calls) == asked  # built before, unchanged

    assert CANARY not in said + more
    for file in out.rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file

    corpus = open_store(out).corpus("planted")
    sae = corpus.sae(corpus.saes[0])
    features = sae.features().to_pylist()
    labelled = [row for row in features if row["source"] == "llm"]
    assert len(labelled) > 5
    assert any(row["status"] == "scored" for row in labelled)
    for row in features:
        if row["source"] == "local":
            assert row["status"] in ("unscored", "too rare")
            tried = label_store.history(sae, row["feature_id"]).to_pylist()
            assert any("not JSON" in entry["outcome"] for entry in tried)
    pairs = {(row["interpreter"], row["predictor"]) for row in label_store.pair_summary(corpus).to_pylist()}
    assert pairs == {("local", "local"), ("plain", "plain"), ("gpt-4o-mini", "gpt-4o-mini")}
    assert len(label_store.pairs(corpus)) == 9
