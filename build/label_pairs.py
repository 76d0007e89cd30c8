"""Stage: label and score the same features of a corpus' largest SAE by several Interpreter–Predictor pairs."""

from contextlib import nullcontext
from typing import Any

import numpy as np
import pyarrow as pa

from build.llm.costs import pairs_cost
from build.llm.options import BUILT_IN, pair_settings, read_labeller
from build.llm.stage import client_of, interpreter_of, predictor_of, texts_of
from build.phrases import corpus_phrases
from build.work import Target, Work
from sae import schema
from sae.labelling.evidence import N_SCORE, SCORE, draw_evidence, split_halves
from sae.labelling.label_pairs import compare_pairs, draw_features, summarise_pairs
from sae.statistics import ByFeature
from sae.storage.arrays import Group, write_table


def settings(target: Target) -> object:
    return [target.config.seed, list(target.sae_names), pair_settings(target.config)]


def run(work: Work) -> dict[str, Any]:
    options, seed = read_labeller(work.target.config), work.target.config.seed
    embeddings = np.load(work.input("embeddings") / schema.EMBEDDINGS, allow_pickle=False).astype(np.float32)
    phrases = corpus_phrases(work)
    name, entries = _largest(work)
    n_active = _active_in_halves(entries, split_halves(len(embeddings), seed))
    features = draw_features(n_active, options.pair_features, seed)
    evidence = draw_evidence(embeddings, _only(entries, features), seed)
    texts = texts_of(work) if options.pairs_ask else []
    models = [model for pair in options.compared for model in pair if model not in BUILT_IN]
    asking = (
        client_of(work, options, "pairs", pairs_cost(options, texts), models)
        if options.pairs_ask
        else nullcontext()
    )
    with asking as client:
        pairs = [
            (
                interpreter_of(first, client, options, phrases, texts),
                predictor_of(second, client, options, phrases, texts),
            )
            for first, second in options.compared
        ]
        documents = options.score_documents if options.pairs_ask else N_SCORE
        rows = compare_pairs(pairs, features, evidence, documents, seed, work.progress)
    summary = summarise_pairs(rows, seed)
    for path, found, columns in (
        (schema.LABEL_PAIRS, rows, schema.LABEL_PAIR_COLUMNS),
        (schema.LABEL_PAIR_SUMMARY, summary, schema.LABEL_PAIR_SUMMARY_COLUMNS),
    ):
        write_table(work.out / path, pa.Table.from_pylist([{"sae": name} | row for row in found], columns))
    return {
        "label_pairs": {"sae": name, "features": len(features), "pairs": len(pairs), "documents": documents}
    }


def _largest(work: Work) -> tuple[str, ByFeature]:
    """The SAE with most latents, and the documents of its features."""
    found: dict[str, ByFeature] = {}
    for name in work.target.sae_names:
        latents = Group(work.input("encode", name) / schema.LATENTS, schema.LATENT_ARRAYS)
        activations = latents.read("activations").astype(np.float32)
        found[name] = ByFeature(latents.read("offsets"), latents.read("documents"), activations)
    name = max(found, key=lambda name: found[name].n_latents)
    return name, found[name]


def _active_in_halves(entries: ByFeature, half: np.ndarray) -> np.ndarray:
    """int64 (n_latents, 2): documents of each feature in the labelling and in the scoring half."""
    in_score = np.concatenate([[0], np.cumsum(half[entries.documents] == SCORE)])[entries.offsets]
    in_score = np.diff(in_score)
    return np.stack([np.diff(entries.offsets) - in_score, in_score], axis=1)


def _only(entries: ByFeature, features: list[int]) -> ByFeature:
    """The same of a few features, which become 0, 1, 2 …"""
    slices = [slice(int(entries.offsets[j]), int(entries.offsets[j + 1])) for j in features]
    lengths = [own.stop - own.start for own in slices]
    empty = slice(0, 0)
    return ByFeature(
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.concatenate([entries.documents[own] for own in [empty, *slices]]),
        np.concatenate([entries.activations[own] for own in [empty, *slices]]),
    )
