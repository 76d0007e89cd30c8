"""What the plan says before anything is spent, and what is refused before the first job."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from build.config import BuildConfig, load_profile
from build.display import Display
from build.documents import run as read_documents
from build.llm.announce import check_labeller, labelling_prices
from build.llm.asking import JOURNAL
from build.llm.journal import Journal
from build.llm.stage import PURPOSE
from build.plan import make_plan
from build.runner import Runner
from sae.errors import UserError

STAGES = {"labels", "label_pairs"}


def profile(**labeller: Any) -> BuildConfig:
    tiny = load_profile("tiny")
    corpus = replace(tiny.corpora[0], source={"kind": "synthetic", "n_documents": 60, "seed": 0})
    return replace(tiny, corpora=(corpus,), labeller=labeller)


def test_a_price_for_each_stage_that_asks(tmp_path: Path) -> None:
    config = profile(kind="openai", budget_usd=3.0, pairs=[["gpt-4o", "local"]])
    runner, jobs = Runner(tmp_path, Display(plain=True)), make_plan(config, 384)
    before = list(labelling_prices(jobs, runner))
    assert len(before) == 2
    assert all("--only documents" in sentence for sentence in before)
    runner.run([job for job in jobs if job.stage.run is read_documents], publish=False)
    labels, pairs = labelling_prices(jobs, runner)
    assert "Labels of planted by https://api.openai.com/v1" in labels
    # 192 features, one call of the Interpreter each, 27 to choose a candidate, 30 to score it
    assert (
        f"at most {2 * 192 * (1 + 27 + 30):,} calls" in labels
    )  # an answer that is of no use is asked for again
    assert "likely about $" in labels
    assert "and at most $" in labels
    assert "the budget is $3.00. Families, not counted here," in labels
    assert "at most 100 calls" in pairs
    with Journal(tmp_path / "work" / "cache" / JOURNAL, PURPOSE) as journal:
        journal.begin(b"question", 0, "gpt-4o", 0.25)
    assert "$0.2500 spent before" in next(labelling_prices(jobs, runner))
    assert list(labelling_prices(make_plan(profile(), 384), runner)) == []


def test_what_would_stop_a_build_is_told_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    check_labeller(profile(), STAGES)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        check_labeller(profile(kind="openai"), STAGES)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):
        check_labeller(profile(pairs=[["local", "gpt-4o"]]), STAGES)
    with pytest.raises(UserError, match="OPENAI_API_KEY"):  # their labels are asked for as well
        check_labeller(profile(kind="openai"), {"families"})
    check_labeller(profile(kind="openai"), {"documents"})
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(UserError, match="needs its price"):
        check_labeller(profile(kind="openai", predictor="mine", budget_usd=1.0), STAGES)
    with pytest.raises(UserError, match="more than 0"):
        check_labeller(profile(kind="openai", budget_usd=float("nan")), STAGES)
    for wrong in (
        {"base_url": 5},
        {"interpreter": 5},
        {"candidates": 2.5},
        {"batch": "maybe"},
        {"per_minute": 0},
    ):
        with pytest.raises(UserError, match=next(iter(wrong))):
            check_labeller(profile(kind="openai", **wrong), STAGES)
    with pytest.raises(UserError, match="unknown modell"):
        check_labeller(profile(modell="x"), set())
