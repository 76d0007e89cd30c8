"""The pipeline, whole: what each stage reads, what it adds to the build, and the settings that it depends on.

    documents ─► embeddings ─► noise ─► train ─► encode ─► statistics ─┐
        │            │           │                  ├───► labels ──────┴─► features
        │            │           │                  └───► label_pairs
        │            ├─► queries └─► scaling
        └ (query_encoder stands alone)               features ─► families, splitting, domains
                                                 families ─► evaluation

A stage runs once for the build, for each corpus, or for each SAE of each corpus. It sees the outputs of the
stages that it reads: its own corpus's and SAE's, all SAEs of its corpus when it runs once a corpus, and all
corpora when it runs once for the build.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from build import (
    documents,
    domains,
    embeddings,
    encode,
    evaluate,
    families,
    features,
    label_pairs,
    labels,
    noise,
    queries,
    query_encoder,
    scaling,
    splitting,
    statistics,
    train,
)
from build.work import Target, Work
from sae import schema


class Per(Enum):
    BUILD = "build"
    CORPUS = "corpus"
    SAE = "sae"


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    ``settings`` picks what the result depends on beside the inputs; with the source text behind ``run``, the
    versions of the packages and the keys of ``reads`` it makes the stage's key, and a key that has been built
    before is not built again.
    """

    name: str
    per: Per
    reads: tuple[str, ...]
    writes: tuple[str, ...]  # files of the build; what else a stage writes is for other stages only
    run: Callable[[Work], dict[str, Any]]  # returns facts for the manifest
    settings: Callable[[Target], object]
    unit: str = "steps"  # what its progress counts; "" for shares of the whole


STAGES = (
    Stage("documents", Per.CORPUS, (), (schema.DOCUMENTS, schema.QUARANTINE),
          documents.run, documents.settings, "documents"),
    Stage("embeddings", Per.CORPUS, ("documents",), (schema.EMBEDDINGS, schema.SEARCH, schema.SEARCH_SCALES),
          embeddings.run, embeddings.settings, "documents"),
    Stage("queries", Per.CORPUS, ("documents", "embeddings"), (schema.QUERIES,),
          queries.run, queries.settings, "queries"),
    Stage("noise", Per.CORPUS, ("embeddings",), (),
          noise.run, noise.settings, "steps"),
    Stage("train", Per.SAE, ("embeddings", "noise"), (schema.SAE, schema.TRAINING),
          train.run, train.settings, "steps"),
    Stage("encode", Per.SAE, ("embeddings", "train"), (schema.LATENTS,),
          encode.run, encode.settings, "documents"),
    Stage("statistics", Per.SAE, ("encode", "train"), (schema.COOCCURRENCE,),
          statistics.run, statistics.settings, "features"),
    Stage("labels", Per.CORPUS, ("documents", "embeddings", "encode"),
          (schema.EVIDENCE, schema.LABEL_HISTORY),
          labels.run, labels.settings, ""),
    Stage("label_pairs", Per.CORPUS, ("documents", "embeddings", "encode"),
          (schema.LABEL_PAIRS, schema.LABEL_PAIR_SUMMARY),
          label_pairs.run, label_pairs.settings, "pairs"),
    Stage("features", Per.CORPUS, ("train", "statistics", "labels"), (schema.FEATURES, schema.LABEL_VECTORS),
          features.run, features.settings, "SAEs"),
    Stage("families", Per.CORPUS, ("documents", "embeddings", "train", "encode", "features"),
          (schema.FAMILIES, schema.FAMILY_SCORES, schema.FAMILY_METRICS, schema.FAMILY_POINTS,
           schema.STRUCTURE),
          families.run, families.settings, "SAEs"),
    Stage("splitting", Per.CORPUS, ("train", "encode", "features"),
          (schema.SPLITTING, schema.SPLITTING_SUMMARY),
          splitting.run, splitting.settings, "pairs of SAEs"),
    Stage("domains", Per.BUILD, ("documents", "embeddings", "train", "encode", "features"), (schema.DOMAINS,),
          domains.run, domains.settings, "pairs of SAEs"),
    Stage("evaluation", Per.CORPUS,
          ("documents", "embeddings", "train", "encode", "statistics", "features", "families"),
          (schema.EVALUATION,), evaluate.run, evaluate.settings, "SAEs"),
    Stage("scaling", Per.CORPUS, ("embeddings", "noise"),
          (schema.SCALING, schema.SCALING_CURVES, schema.SCALING_FITS, schema.SCALING_COSINES),
          scaling.run, scaling.settings, "steps"),
    Stage("query_encoder", Per.BUILD, (), (schema.QUERY_ENCODER,),
          query_encoder.run, query_encoder.settings, "checks"),
)  # fmt: skip
