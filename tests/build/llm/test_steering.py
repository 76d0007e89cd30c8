"""A language model as judge and rewriter: it can succeed, is told nothing of the edit, and its errors are no scores."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from build.config import load_profile
from build.display import Display
from build.evaluation import evaluation_llm
from build.evaluation.evaluation_corpus import EvaluationConfig
from build.evaluation.evaluation_llm import check_evaluation, cost, evaluation_prices, judge_client
from build.evaluation.steering_llm import JUDGE, N_REWRITTEN, LLMJudge, LLMRewriter
from build.llm import asking
from build.llm.client import Client, SpentError
from build.llm.endpoint import ServerConfig
from build.llm.prices import chat_price
from build.plan import make_plan
from build.runner import Runner
from sae.errors import UserError
from tests.build.llm.conftest import MakeClient
from tests.build.llm.fake import FakeModel, completion
from tests.build.servers import send

LABELS = ["galaxies", "protein folding", "markets", "graphs", "oceans"]


def reading(body: dict[str, Any], number: int, request: Request) -> str:
    """A judge that counts in how many results each label stands."""
    asked = json.loads(body["messages"][1]["content"])
    change = {
        int(i): sum(label in text for text in asked["after"]) - sum(label in text for text in asked["before"])
        for i, label in asked["labels"].items()
    }
    more, less = max(change, key=change.__getitem__), min(change, key=change.__getitem__)
    return json.dumps({"question": asked["question"], "more": more, "less": less})


def judge_of(client: MakeClient, **server: Any) -> LLMJudge:
    return LLMJudge(client("evaluation", **server), "gpt-4o-mini", 50, ("feature",), ("both",), (0.75,))


def trials(n: int) -> tuple[list[tuple[list[str], list[str]]], np.ndarray]:
    rng = np.random.default_rng(0)
    lists, truth = [], []
    for _ in range(n):
        up, down = rng.permutation(5)[:2]
        base = [f"{LABELS[i]} {rng.integers(1000)}" for i in range(5) for _ in range(2)]
        after = [text.replace(LABELS[down], LABELS[up]) for text in base]
        lists.append((base, after))
        truth.append((up, down))
    return lists, np.array(truth)


def test_a_judge_that_reads_is_right_and_with_shuffled_labels_it_guesses(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    FakeModel(httpserver, reading)
    judge = judge_of(client)
    lists, truth = trials(60)
    rose, fell = judge.verdicts([judge.question(before, after, LABELS) for before, after in lists])
    assert (rose == truth[:, 0]).all()
    assert (fell == truth[:, 1]).all()
    rng = np.random.default_rng(1)
    shuffled = [rng.permutation(5) for _ in lists]
    questions = [
        judge.question(before, after, [LABELS[i] for i in order])
        for (before, after), order in zip(lists, shuffled, strict=True)
    ]
    rose, _ = judge.verdicts(questions)
    assert (rose == truth[:, 0]).mean() < 0.4


def test_it_is_shown_results_and_labels_and_nothing_else(httpserver: HTTPServer, client: MakeClient) -> None:
    model = FakeModel(httpserver, reading)
    judge = judge_of(client)
    judge.verdicts([judge.question(["galaxies"] * 10, ["oceans"] * 10, LABELS)])
    assert model.calls[0]["messages"][0]["content"] == JUDGE
    assert set(json.loads(model.calls[0]["messages"][1]["content"])) == {
        "question",
        "labels",
        "before",
        "after",
    }


MISBEHAVIOURS: list[Callable[[dict[str, Any]], Response | str]] = [
    lambda asked: "not json",
    lambda asked: json.dumps({"question": asked["question"], "more": 9, "less": 1}),
    lambda asked: json.dumps({"question": asked["question"], "more": 0, "less": 1}),
    lambda asked: json.dumps({"question": "another", "more": 1, "less": 2}),
    lambda asked: json.dumps({"question": asked["question"], "more": float("nan"), "less": 2}),
    lambda asked: json.dumps({"question": asked["question"], "more": "one", "less": 2}),
    lambda asked: send({"error": {"message": "bad"}}, 400),
    lambda asked: send({"choices": []}),
]


@pytest.mark.parametrize("wrong", MISBEHAVIOURS)
def test_an_unusable_answer_is_no_verdict(
    httpserver: HTTPServer, client: MakeClient, wrong: Callable[[dict[str, Any]], Response | str]
) -> None:
    def sometimes(body: dict[str, Any], number: int, request: Request) -> Response | str:
        asked = json.loads(body["messages"][1]["content"])
        return wrong(asked) if "broken" in asked["before"][0] else reading(body, number, request)

    FakeModel(httpserver, sometimes)
    judge = judge_of(client, retries=1)
    good = judge.question(["galaxies"] * 10, ["oceans"] * 10, LABELS)
    bad = judge.question(["broken galaxies"] * 10, ["oceans"] * 10, LABELS)
    rose, fell = judge.verdicts([good, bad])
    assert (rose.tolist(), fell.tolist()) == ([4, -1], [0, -1])


def test_a_rerun_asks_nothing_and_a_budget_ends_the_asking(
    httpserver: HTTPServer, client: MakeClient
) -> None:
    model = FakeModel(httpserver, reading)
    lists, _ = trials(12)
    judge = judge_of(client)
    questions = [judge.question(before, after, LABELS) for before, after in lists]
    first = judge.verdicts(questions)
    asked = len(model.calls)
    again = judge_of(client)
    assert [v.tolist() for v in again.verdicts(questions)] == [v.tolist() for v in first]
    assert len(model.calls) == asked
    poor = LLMJudge(client("poor", budget_usd=1e-9), "gpt-4o-mini", 50, (), (), ())
    other = poor.question(["markets"] * 10, ["oceans"] * 10, LABELS)
    assert poor.verdicts([other])[0].tolist() == [-1]
    assert poor.client.budget_reached


class FakeWork:
    """What ``asking`` needs of a build's work."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.target = (
            cache,
            SimpleNamespace(config=None, sae_names=["SAE4"], corpus=SimpleNamespace(name="planted")),
        )

    def say(self, text: str) -> None: ...

    def input(self, name: str) -> Path:
        return self.cache


@pytest.mark.parametrize("ends", ["well", "with an error", "for want of a key", "before the first question"])
def test_the_journal_is_closed_however_the_asking_ends(
    ends: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    class Watched(Client):
        def check(self, *models: str) -> None:
            if ends == "before the first question":
                raise UserError("no price")

        def close(self) -> None:
            closed.append(True)
            super().close()

    monkeypatch.setattr(asking, "Client", Watched)
    monkeypatch.setattr(evaluation_llm, "read_labeller", lambda _: SimpleNamespace(server=ServerConfig()))
    monkeypatch.setattr(evaluation_llm, "texts_shown", lambda _: ["A title"])
    work: Any = FakeWork(tmp_path)
    expected = {"with an error": ValueError, "for want of a key": SpentError}.get(ends, UserError)
    ending = nullcontext() if ends == "well" else pytest.raises(expected)
    with ending, judge_client(work, EvaluationConfig(judge="gpt-4o-mini")) as client:
        assert client is not None
        if ends == "with an error":
            raise ValueError("a table cannot be written")
        if ends == "for want of a key":
            client.stopped = "The server refuses the key."
    assert closed == [True]


def test_wishes_are_put_in_words(httpserver: HTTPServer, client: MakeClient) -> None:
    def write(body: dict[str, Any], number: int, request: Request) -> str:
        asked = json.loads(body["messages"][1]["content"])
        versions = [f"{asked['query']} {asked.get('more', '')} {i}".strip() for i in range(6)]
        if asked["query"] == "endless":
            versions = ["x" * 5000]
        return json.dumps({"question": asked["question"], "queries": [" ", *versions]})

    FakeModel(httpserver, write)
    rewriter = LLMRewriter(client("evaluation", retries=0), "gpt-4o-mini")
    found = rewriter.rewrite(
        ["stars", "endless", "graphs"], [{"more": "dust"}, {"more": "x"}, {"less": "markets"}]
    )
    assert found[0][:2] == ["stars dust 0", "stars dust 1"]
    assert len(found[0]) <= N_REWRITTEN
    assert found[1] == []
    assert found[2][0].startswith("graphs")


def test_the_cost_is_known_beforehand() -> None:
    options = EvaluationConfig(judge="gpt-4o-mini", rewriter="gpt-4o-mini", budget_usd=5.0)
    found = cost(options, ServerConfig(), 3, ["A title\n\nand a text"])
    assert found.calls == 2 * (3 * 50 * 5 * 1 * 4 + 3 * 200 * 3)  # an answer of no use is asked for again
    price = chat_price("gpt-4o-mini")
    assert price is not None
    assert found.usd == pytest.approx(price.usd(found.read, found.written))
    assert cost(EvaluationConfig(), ServerConfig(), 3, []).calls == 0


@pytest.mark.parametrize("text", ["plain words " * 50, "∑∫🙂" * 200, "\x02" * 500])
def test_the_cost_bounds_what_the_worst_server_bills(
    httpserver: HTTPServer, client: MakeClient, text: str
) -> None:
    """Every byte a token, every answer as long as it may be and of no use."""

    def greedy(body: dict[str, Any], number: int, request: Request) -> Response:
        read = sum(len(m["content"].encode()) for m in body["messages"]) + len(
            json.dumps(body["response_format"])
        )
        usage = {"prompt_tokens": read, "completion_tokens": body["max_tokens"]}
        return send(completion("of no use", usage=usage))

    FakeModel(httpserver, greedy)
    found = client("evaluation")
    options = EvaluationConfig(
        judge="gpt-4o-mini", rewriter="gpt-4o-mini", queries=1, judged_trials=1, judged_methods=("feature",),
        judged_fidelities=(0.9, 0.75),
    )  # fmt: skip
    most = cost(options, found.server, 1, [text, "short"])
    judge = LLMJudge(found, "gpt-4o-mini", 1, (), (), ())
    labels = [f"{text[:180]} {i}" for i in range(5)]
    judge.verdicts([judge.question([text] * 10, [f"{i}"] + [text] * 9, labels) for i in range(2)])
    wishes = [{"more": labels[0], "less": labels[1]}, {"more": labels[0]}, {"less": labels[1]}]
    LLMRewriter(found, "gpt-4o-mini").rewrite([text] * 3, wishes)
    assert found.tally["calls"] == most.calls
    assert most.usd / 4 < found.journal.spent_usd <= most.usd


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"judged_methods": ("magic",)}, "judged_methods holds 'magic'"),
        ({"judged_fidelities": (0.1,)}, "judged_fidelities holds 0.1"),
        ({"budget_usd": -1.0}, "must be more than 0"),
        ({"budget_usd": float("nan")}, "must be more than 0"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        EvaluationConfig(**options)


def test_a_store_without_a_model_asks_nobody(tmp_path: Path) -> None:
    assert EvaluationConfig().asked == ()


def test_the_plan_tells_the_price_and_a_missing_key_is_told_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"judge": "gpt-4o-mini", "budget_usd": 2.0}
    config = replace(load_profile("tiny"), evaluation=options, labeller={"key_env": "SEXTANT_TEST_KEY"})
    jobs = make_plan(config, 384)
    runner = Runner(tmp_path, Display(plain=True))
    assert "--only documents" in next(evaluation_prices(jobs, runner))
    runner.run([job for job in jobs if job.stage.name == "documents"], publish=False)
    told = list(evaluation_prices(jobs, runner))
    assert len(told) == 2
    assert "Evaluation of planted by https://api.openai.com" in told[0]
    assert "the budget is $2.00" in told[0]
    check_evaluation(jobs, runner)
    monkeypatch.delenv("SEXTANT_TEST_KEY")
    with pytest.raises(UserError, match="SEXTANT_TEST_KEY"):
        check_evaluation(jobs, runner)
    assert not list(evaluation_prices(make_plan(load_profile("tiny"), 384), runner))


def test_a_raised_budget_asks_on() -> None:
    def keys(budget: float | None, judge: str) -> set[str]:
        options = {"judge": judge} | ({"budget_usd": budget} if budget else {})
        jobs = make_plan(replace(load_profile("tiny"), evaluation=options), 384)
        return {job.key for job in jobs if job.stage.name == "evaluation"}

    assert not keys(1.0, "gpt-4o-mini") & keys(2.0, "gpt-4o-mini")
    assert keys(1.0, "") == keys(None, "")
