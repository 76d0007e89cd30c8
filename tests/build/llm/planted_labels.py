"""Six planted topics, a rare feature and a dead one, for tests that label them with a language model."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from build.llm.client import Client
from build.llm.options import LabellerConfig
from build.llm.stage import label_tables
from sae.labelling.evidence import FeatureEvidence, draw_evidence
from sae.labelling.labels import LabelResult, label_features
from sae.labelling.phrases import Phrases, prepare_phrases
from sae.statistics import ByFeature
from tests.sae.planted import Planted, embed, planted_corpus

OPTIONS = LabellerConfig(kind="openai", candidates=3, check_documents=2, score_documents=4)
N = 6  # features, then a rare one and a dead one


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def phrases(corpus: Planted) -> Phrases:
    return prepare_phrases(corpus.texts, corpus.embeddings, embed)


@pytest.fixture(scope="session")
def evidence(corpus: Planted) -> list[FeatureEvidence]:
    return draw_evidence(corpus.embeddings, corpus.by_feature, seed=1)


@pytest.fixture(scope="session")
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
