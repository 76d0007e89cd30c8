"""Steer every trial by every method to every fidelity, search, let the judge read, and count."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from build.evaluation.steering_llm import LLM, LLMJudge
from build.evaluation.steering_methods import CONTROL, EDITS, FIDELITIES, Setting, steered
from sae.steering.judge import WAYS, LocalJudge, verdict
from sae.steering.trials import Bootstrap

N_RESULTS = 10
JOINT = ("both", "even")  # edits that raise one feature and lower another
MOVED = 0.3  # change of a feature's share of the results from which it counts as moved
_ROWS_AT_ONCE = 512

Row = dict[str, Any]


@dataclass(frozen=True)
class Pool:
    """The documents that are searched: ``embeddings`` float32 (m, d_in) unit rows, ``latents`` float32
    (m, n_latents) sparse, ``text`` reads one of them, ``own`` int64 (n,) the document of each trial's query that
    it must not find, or −1."""

    embeddings: np.ndarray
    latents: sp.csr_matrix
    text: Callable[[int], str]
    own: np.ndarray


@dataclass(frozen=True)
class Outcome:
    """Results int64 (n, N_RESULTS) of n trials steered one way; rows of −1 where it could not be done."""

    edit: str
    method: str
    fidelity: float
    results: np.ndarray


def evaluate_steering(
    setting: Setting,
    pool: Pool,
    make_judge: Callable[[Sequence[str]], LocalJudge],
    seed: int,
    say: Callable[[str], None],
    llm_judge: LLMJudge | None = None,
) -> list[Row]:
    """Rows of schema.STEERING_COLUMNS without the column ``sae``."""
    before = top_results(setting.x, pool)
    outcomes = []
    for method in setting.methods:
        say(method)
        for edit in EDITS:
            queries = steered(setting, method, edit)
            found = top_results(queries.reshape(-1, queries.shape[2]), pool, len(FIDELITIES))
            outcomes += [
                Outcome(edit, method, fidelity, found[i * len(setting.x) : (i + 1) * len(setting.x)])
                for i, fidelity in enumerate(FIDELITIES)
            ]
    say("judging")
    rows = _judged(setting, pool, make_judge, before, outcomes, seed)
    if llm_judge is not None:
        say(f"judging by {llm_judge.model}")
        rows += _judged_by_model(setting, pool, llm_judge, before, outcomes, seed)
    return rows + _counted(setting, pool, before, outcomes)


def top_results(queries: np.ndarray, pool: Pool, times: int = 1, count: int = N_RESULTS) -> np.ndarray:
    """The ``count`` nearest documents int64 (n, count) of queries (n, d_in), best first; −1 for queries of
    NaN."""
    own = np.tile(pool.own, times)
    count = min(count, len(pool.embeddings) - 1)
    found = np.full((len(queries), count), -1, np.int64)
    possible = np.flatnonzero(np.isfinite(queries).all(1))
    for start in range(0, len(possible), _ROWS_AT_ONCE):
        rows = possible[start : start + _ROWS_AT_ONCE]
        scores = queries[rows] @ pool.embeddings.T
        with_own = np.flatnonzero(own[rows] >= 0)
        scores[with_own, own[rows][with_own]] = -np.inf
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1, kind="stable")
        found[rows] = np.take_along_axis(best, order, axis=1)
    return found


def _judged(
    setting: Setting,
    pool: Pool,
    make_judge: Callable[[Sequence[str]], LocalJudge],
    before: np.ndarray,
    outcomes: list[Outcome],
    seed: int,
) -> list[Row]:
    trials = setting.trials
    features, columns = np.unique(trials.options, return_inverse=True)
    judge = make_judge([setting.labels[f] for f in features])
    documents = np.unique(np.concatenate([before, *(o.results for o in outcomes)]))
    documents = documents[documents >= 0]
    evidence = judge.read(pool.embeddings[documents], [pool.text(int(d)) for d in documents])
    options = columns.reshape(trials.options.shape)
    rows: list[Row] = []
    for way in WAYS:
        table = evidence.by(way)
        rng = np.random.default_rng([seed, 31])
        verdicts = []
        for outcome in outcomes:
            able = np.flatnonzero(outcome.results[:, 0] >= 0)
            first, second = (
                table[np.searchsorted(documents, found[able])[:, :, None], options[able][:, None, :]]
                for found in (before, outcome.results)
            )
            verdicts.append((outcome, able, *verdict(first, second, rng)))
        rows += _shares_told(setting, way, verdicts, seed)
    return rows


def _judged_by_model(
    setting: Setting, pool: Pool, judge: LLMJudge, before: np.ndarray, outcomes: list[Outcome], seed: int
) -> list[Row]:
    """The same by a language model, on the first trials and on what it is to judge of them."""
    trials = setting.trials
    asked, questions = [], []
    for outcome in outcomes:
        wanted = (
            outcome.method in judge.methods,
            outcome.edit in judge.edits,
            outcome.fidelity in judge.fidelities,
        )
        if not all(wanted):
            continue
        able = np.flatnonzero(outcome.results[: judge.trials, 0] >= 0)
        asked.append((outcome, able))
        for trial in able:
            lists = [[pool.text(int(d)) for d in found[trial]] for found in (before, outcome.results)]
            labels = [setting.labels[f] for f in trials.options[trial]]
            questions.append(judge.question(lists[0], lists[1], labels))
    rose, fell = judge.verdicts(questions)
    verdicts, start = [], 0
    for outcome, able in asked:
        part = slice(start, start + len(able))
        start += len(able)
        answered = rose[part] >= 0
        verdicts.append((outcome, able[answered], rose[part][answered], fell[part][answered]))
    return _shares_told(setting, LLM, verdicts, seed)


def _shares_told(
    setting: Setting, way: str, verdicts: list[tuple[Outcome, np.ndarray, np.ndarray, np.ndarray]], seed: int
) -> list[Row]:
    """Shares told rightly, and how far each method is ahead of words, from verdicts: outcome, the trials that it was
    given on, which of their options rose, which fell."""
    trials = setting.trials
    truth = [(trials.options == wanted[:, None]).argmax(1) for wanted in (trials.raised, trials.lowered)]
    bootstrap = Bootstrap(trials.queries, seed)
    told: dict[tuple[str, str, float], dict[str, np.ndarray]] = {}
    for outcome, able, rose, fell in verdicts:
        hits = {"up": rose == truth[0][able], "down": fell == truth[1][able]}
        hits["both"] = hits["up"] & hits["down"]
        known = {}
        for measure in ("up", "down", "both") if outcome.edit in JOINT else (outcome.edit,):
            known[measure] = np.full(len(trials), np.nan)
            known[measure][able] = hits[measure]
        told[outcome.edit, outcome.method, outcome.fidelity] = known
    rows: list[Row] = []
    for (edit, method, fidelity), known in told.items():
        base = told.get((edit, setting.baseline, fidelity))
        for measure, values in known.items():
            rows.append(_row(edit, method, fidelity, way, measure, values, bootstrap))
            if base is not None and method not in (setting.baseline, CONTROL):
                ahead = values - base[measure]
                rows.append(_row(edit, method, fidelity, way, f"ahead {measure}", ahead, bootstrap))
    return rows


def _counted(setting: Setting, pool: Pool, before: np.ndarray, outcomes: list[Outcome]) -> list[Row]:
    """What changed by the SAE's own account: overlap, share with the raised feature, other features moved."""
    trials = setting.trials
    was = _shares(pool, before)
    bootstrap = Bootstrap(trials.queries)
    rows: list[Row] = []
    for outcome in outcomes:
        able = np.flatnonzero(outcome.results[:, 0] >= 0)
        change = _shares(pool, outcome.results[able]) - was[able]
        values = {name: np.full(len(trials), np.nan) for name in ("overlap", "raised", "lowered", "moved")}
        same = (outcome.results[able][:, :, None] == before[able][:, None, :]).any(2)
        values["overlap"][able] = same.mean(1)
        at = np.arange(len(able))
        values["raised"][able] = change[at, trials.raised[able]]
        values["lowered"][able] = change[at, trials.lowered[able]]
        for wanted in (trials.raised, trials.lowered):
            change[at, wanted[able]] = 0
        values["moved"][able] = (np.abs(change) >= MOVED - 1e-6).sum(1)
        for measure, found in values.items():
            rows.append(_row(outcome.edit, outcome.method, outcome.fidelity, "", measure, found, bootstrap))
    return rows


def _shares(pool: Pool, results: np.ndarray) -> np.ndarray:
    """Share of each trial's results in which each feature is active, float32 (n, n_latents)."""
    n, count = results.shape
    pick = sp.csr_matrix(
        (np.full(n * count, 1 / count, np.float32), results.ravel(), np.arange(0, n * count + 1, count)),
        shape=(n, pool.latents.shape[0]),
    )
    return np.asarray((pick @ (pool.latents > 0).astype(np.float32)).todense())


def _row(
    edit: str, method: str, fidelity: float, way: str, measure: str, values: np.ndarray, bootstrap: Bootstrap
) -> Row:
    value, low, high = bootstrap.interval(values)
    return {
        "edit": edit,
        "method": method,
        "fidelity": fidelity,
        "judge": way,
        "measure": measure,
        "value": value,
        "low": low,
        "high": high,
        "n": int(np.isfinite(values).sum()),
    }
