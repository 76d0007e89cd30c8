"""Everything that is measured of one SAE: steering, optimisation, rankings, categories, planted topics."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.sparse as sp

from build.corpora.synthetic import truth
from build.evaluation.evaluation_corpus import EvaluationCorpus
from build.evaluation.steering_llm import LLMJudge, LLMRewriter
from build.evaluation.steering_methods import Setting
from build.evaluation.steering_trials import Pool, evaluate_steering, top_results
from build.llm.client import Client
from build.work import Work
from sae import schema
from sae.encode import Weights, decode, encode
from sae.labelling.evidence import LABEL, split_halves
from sae.statistics import ByFeature, invert
from sae.steering.directions import Directions, Statistics
from sae.steering.evaluation import best_features, correlations, f1_of, match_topics, probe_f1, ranking_kept
from sae.steering.judge import LocalJudge
from sae.steering.optimise import optimise
from sae.steering.trials import draw_trials, interval
from sae.storage.arrays import Group
from sae.storage.sae_store import SparseRows
from sae.storage.weights import read_weights
from sae.structure.cooccurrence import active_entries

_LEAST_GOOD = 24  # features that trials are drawn from, at least
_MOST_CATEGORIES = 60
_LEAST_IN_CATEGORY = 20
_CONTOUR = np.linspace(0, 1.5, 13)

Row = dict[str, Any]


class _Latents:
    """Latents of an SAE in memory and rows of its co-occurrence, as ``sae.steering.directions`` reads them."""

    def __init__(
        self, top_acts: np.ndarray, top_indices: np.ndarray, together: Group, n_latents: int
    ) -> None:
        self.top_acts, self.top_indices, self.together = top_acts, top_indices, together
        self.offsets = together.read("offsets")
        self.entries: ByFeature = invert(top_acts, top_indices, n_latents)

    def by_feature(self, feature_id: int, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        documents, acts = self.entries.of(feature_id)
        return documents[:limit], acts[:limit].astype(np.float32)

    def by_document(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.top_acts[rows].astype(np.float32), self.top_indices[rows]

    def cooccurring(self, feature_id: int) -> SparseRows:
        start, stop = (int(at) for at in self.offsets[feature_id : feature_id + 2])
        names = ("features", "counts", "similarities")
        return SparseRows(*(self.together.read(name, start, stop) for name in names))


class EvaluatedSAE:
    """Everything that is measured of one SAE."""

    def __init__(self, corpus: EvaluationCorpus, work: Work, name: str) -> None:
        self.corpus = corpus
        self.source = work.target.corpus.source
        self.weights: Weights = read_weights(work.input("train", name) / schema.SAE)
        group = Group(work.input("encode", name) / schema.LATENTS, schema.LATENT_ARRAYS)
        acts, indices = group.read("top_acts"), group.read("top_indices")
        together = Group(work.input("statistics", name) / schema.COOCCURRENCE, schema.COOCCURRENCE_ARRAYS)
        n_latents = self.weights.n_latents
        self.by_document = acts, indices
        features = pq.read_table(work.input("features") / name / schema.FEATURES)
        self.labels = [label or "" for label in features["label"].to_pylist()]
        self.directions = Directions(
            self.weights,
            Statistics.of(features),
            _Latents(acts, indices, together, n_latents),
            corpus.n_documents,
        )
        self.latents = active_entries(acts, indices, n_latents)
        self.families = self._families(work.input("families") / name / schema.FAMILIES)
        self.good = self._good(features)
        self.query_acts, self.query_indices = encode(corpus.x, self.weights)

    def _good(self, features: pa.Table) -> np.ndarray:
        """Features whose label predicts well on documents it was not made from; the best few where it is
        few."""
        scores = [
            np.nan_to_num(features[c].to_numpy(zero_copy_only=False).astype(np.float64), nan=-1.0)
            for c in ("pearson_random", "f1_random")
        ]
        worst = np.where([bool(label) for label in self.labels], np.minimum(*scores), -1.0)
        enough = np.sort(worst)[::-1][:_LEAST_GOOD][-1]
        return (worst >= min(self.corpus.options.good, enough)) & (worst > 0)

    def _families(self, path: Path) -> dict[int, dict[int, float]]:
        """Mean activations of all features of each family, by its parent; the larger family where two share
        one."""
        members: dict[int, list[int]] = {}
        for row in pq.read_table(path, columns=["family_id", "feature_id"]).to_pylist():
            members.setdefault(row["family_id"], []).append(row["feature_id"])
        mean = self.directions.statistics.mean
        return {own[0]: {f: float(mean[f]) for f in own} for _, own in sorted(members.items(), reverse=True)}

    def steering(self, say: Callable[[str], None], client: Client | None = None) -> list[Row]:
        """What comes of steering; ``client`` where a language model judges or rewrites."""
        corpus, rng = self.corpus, np.random.default_rng([self.corpus.seed, 23])
        options = corpus.options
        trials = draw_trials(
            self.query_acts, self.query_indices, self.good, self.labels, self.weights.W_dec, rng
        )
        if not len(trials):
            return []
        wanted = np.unique(np.concatenate([trials.raised, trials.lowered, trials.stray]))
        vectors = np.zeros((self.weights.n_latents, self.weights.d_in), np.float32)
        vectors[wanted] = corpus.embed([self.labels[f] for f in wanted])
        setting = Setting(
            trials, corpus.x[trials.queries], [corpus.queries.texts[q] for q in trials.queries], self.labels,
            self.weights, self.directions, self.families, vectors, corpus.embed,
            LLMRewriter(client, options.rewriter).rewrite if client and options.rewriter else None,
        )  # fmt: skip
        pool = Pool(corpus.embeddings, self.latents[corpus.rows], corpus.text, corpus.own[trials.queries])

        def make_judge(labels: Any) -> LocalJudge:
            texts = [corpus.text(int(row)) for row in corpus.background]
            return LocalJudge(labels, corpus.embed, corpus.embeddings[corpus.background], texts)

        llm_judge = None
        if client and options.judge:
            llm_judge = LLMJudge(client, options.judge, options.judged_trials, options.judged_methods,
                                 options.judged_edits, options.judged_fidelities)  # fmt: skip
        return evaluate_steering(setting, pool, make_judge, corpus.seed, say, llm_judge)

    def optimisation(self) -> list[Row]:
        """Normalised error at each step, for a random inactive feature set to the query's largest activation and
        for a random active one set to zero."""
        rng = np.random.default_rng([self.corpus.seed, 24])
        x = self.corpus.x
        latents = self._dense()
        usable = np.flatnonzero((latents > 0).sum(1) > 1)
        rows = []
        for case in ("zero to active", "active to zero"):
            target = latents[usable].copy()
            for own in target:
                inactive = np.flatnonzero((own == 0) & (self.directions.statistics.reach > 0))
                if case == "zero to active":
                    own[rng.choice(inactive)] = own.max()
                else:
                    own[rng.choice(np.flatnonzero(own))] = 0
            for residual in (False, True):
                errors = optimise(x[usable], target, self.weights, keep_residual=residual).errors
                for step, values in enumerate(errors):
                    value, low, high = interval(values, self.corpus.seed)
                    rows.append(
                        {"case": case, "residual": residual, "step": step, "value": value, "low": low, "high": high,
                         "n": len(values)}
                    )  # fmt: skip
        return rows

    def contour(self) -> list[Row]:
        """Mean cosine of original and steered query: an inactive feature raised, an active one lowered."""
        rng = np.random.default_rng([self.corpus.seed, 25])
        x, weights = self.corpus.x, self.weights
        latents = self._dense()
        usable = np.flatnonzero((latents > 0).any(1))
        if not len(usable):  # no query could be made of the documents
            return []
        up = [rng.choice(np.flatnonzero(latents[i] == 0)) for i in usable]
        down = [rng.choice(np.flatnonzero(latents[i])) for i in usable]
        raise_by = latents[usable].max(1)[:, None] * weights.W_dec[up] * np.float32(weights.scale)
        lower_by = latents[usable, down][:, None] * weights.W_dec[down] * np.float32(weights.scale)
        rows = []
        for share_up in _CONTOUR:
            for share_down in _CONTOUR:
                vectors = x[usable] + share_up * raise_by - share_down * lower_by
                lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(x[usable], axis=1)
                mean = float(((vectors * x[usable]).sum(1) / lengths).mean())
                rows.append({"up": float(share_up), "down": float(share_down), "cosine": mean})
        return rows

    def _dense(self) -> np.ndarray:
        latents = np.zeros((len(self.corpus.x), self.weights.n_latents), np.float32)
        np.put_along_axis(latents, self.query_indices.astype(np.int64), self.query_acts, axis=1)
        return latents

    def retrieval(self) -> list[Row]:
        """What is kept of the original ranking when query, or query and documents, are what the SAE says of them."""
        corpus = self.corpus
        pool = Pool(corpus.embeddings, self.latents, corpus.text, corpus.own)
        original = top_results(corpus.x, pool, count=100)
        query = decode(self.query_acts, self.query_indices, self.weights)
        acts, indices = (part[corpus.rows] for part in self.by_document)
        documents = decode(acts.astype(np.float32), indices, self.weights)
        documents /= np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-12)
        both = Pool(documents, self.latents, corpus.text, corpus.own)
        found = {
            "query": top_results(query, pool, count=100),
            "query and documents": top_results(query, both, count=100),
            "sparse": self._sparse_results(100),
        }
        rows = []
        for variant, results in found.items():
            for measure, values in ranking_kept(original, results).items():
                value, low, high = interval(values, corpus.seed)
                rows.append(
                    {
                        "variant": variant,
                        "measure": measure,
                        "value": value,
                        "low": low,
                        "high": high,
                        "n": len(values),
                    }
                )
        return rows

    def _sparse_results(self, count: int) -> np.ndarray:
        """Ranking by cosine of latents alone."""
        own = self.latents[self.corpus.rows]
        lengths = np.sqrt(np.asarray(own.multiply(own).sum(1)).ravel())
        documents = sp.diags_array((1 / np.maximum(lengths, 1e-12)).astype(np.float32)) @ own
        scores = np.asarray(
            (
                documents @ active_entries(self.query_acts, self.query_indices, self.weights.n_latents).T
            ).todense()
        ).T
        with_own = np.flatnonzero(self.corpus.own >= 0)
        scores[with_own, self.corpus.own[with_own]] = -np.inf
        count = min(count, scores.shape[1] - 1)
        return np.argsort(-scores, axis=1, kind="stable")[:, :count]

    def categories(self) -> list[Row]:
        """Best single feature for each frequent category, beside a linear probe, chosen on one half of the documents
        and scored on the other."""
        corpus = self.corpus
        names, counts = np.unique(
            [c for row in corpus.rows for c in set(corpus.document_categories[row])], return_counts=True
        )
        kept = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
        kept = kept[counts[kept] >= _LEAST_IN_CATEGORY]
        if not len(kept):
            return []
        column = {str(names[i]): at for at, i in enumerate(kept)}
        is_in = np.zeros((len(corpus.rows), len(kept)), bool)
        for row, document in enumerate(corpus.rows):
            for category in corpus.document_categories[document]:
                if category in column:
                    is_in[row, column[category]] = True
        choosing = split_halves(corpus.n_documents, corpus.seed)[corpus.rows] == LABEL
        best = best_features(self.latents[corpus.rows], is_in, choosing)
        probe = probe_f1(corpus.embeddings, is_in, choosing, corpus.seed)
        always = f1_of(np.ones_like(is_in[~choosing]), is_in[~choosing])
        return [
            {"category": category, "n_documents": int(counts[kept[at]]), "feature_id": int(best.features[at]),
             "threshold": float(best.thresholds[at]), "f1": float(best.f1[at]), "f1_probe": float(probe[at]),
             "f1_always": float(always[at])}
            for category, at in column.items()
        ]  # fmt: skip

    def truth(self) -> list[Row]:
        """Planted topics matched with features, where the corpus was made from topics."""
        if self.source["kind"] != "synthetic" or self.latents.shape[0] != self.corpus.n_documents:
            return []
        options = {name: self.source[name] for name in ("n_documents", "seed") if name in self.source}
        planted = truth(**options)
        if len(planted.mentions) != self.latents.shape[0]:
            return []  # cleaning left documents out, and with them the order of the rows
        found = match_topics(self.latents, planted.mentions)
        shuffled = np.random.default_rng([self.corpus.seed, 26]).permutation(planted.mentions)
        chance = match_topics(self.latents, shuffled).correlations
        table = correlations(self.latents, planted.mentions)
        rows = []
        for topic, name in enumerate(planted.names):
            feature = int(found.features[topic])
            own = np.zeros((len(planted.mentions), 1), bool)
            if feature >= 0:
                own = np.asarray(self.latents[:, [feature]].todense()) > 0
            rows.append(
                {"topic": name, "broad": bool(planted.parents[topic] < 0), "feature_id": feature,
                 "correlation": float(table[feature, topic]) if feature >= 0 else 0.0,
                 "f1": float(f1_of(own, planted.mentions[:, [topic]])[0]), "chance": float(chance[topic])}
            )  # fmt: skip
        return rows
