"""Labels through the whole pipeline, on a corpus whose topics are known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from build.corpora.synthetic_topics import TOPICS
from sae.labelling import scores
from sae.labelling.phrases import content_keys
from sae.labelling.words import stem
from sae.storage.evaluation_store import Evaluation
from sae.store import Corpus, open_store

_MATCHES = 0.8  # correlation of activation and topic from which a feature is about the topic


@pytest.fixture
def corpus(tiny_store: Path) -> Corpus:
    return open_store(tiny_store).corpus("planted")


def _stems(text: str) -> set[str]:
    return {stem(key) for key in content_keys(text)}


def _named(label: str, topic: str) -> bool:
    """Whether a label has the topic's name or one of its phrases whole."""
    words = next(narrow[topic] for narrow in TOPICS.values() if topic in narrow)
    found = _stems(label.replace(";", " "))
    return any(_stems(phrase) <= found for phrase in (topic, *words))


def _matched(corpus: Corpus) -> pd.DataFrame:
    """sae, topic, label of the features that match one narrow topic."""
    truth = Evaluation(corpus).truth().to_pandas()
    truth = truth[~truth["broad"] & (truth["correlation"] >= _MATCHES)]
    labels = {name: corpus.sae(name).features()["label"].to_pylist() for name in corpus.saes}
    found = [str(labels[name][j]) for name, j in zip(truth["sae"], truth["feature_id"], strict=True)]
    return truth.assign(label=found).reset_index(drop=True)


def test_labels_name_the_planted_topic_of_nine_features_in_ten(corpus: Corpus) -> None:
    matched = _matched(corpus)
    assert len(matched) >= 30
    named = [_named(label, topic) for label, topic in zip(matched["label"], matched["topic"], strict=True)]
    wrong = matched[~np.asarray(named)][["sae", "topic", "label"]].values.tolist()
    assert np.mean(named) >= 0.9, wrong


def test_labels_of_other_features_name_nearly_none(corpus: Corpus) -> None:
    matched = _matched(corpus)
    others = scores.shuffled(matched["label"].tolist(), np.random.default_rng(0))
    named = [_named(label, topic) for label, topic in zip(others, matched["topic"], strict=True)]
    assert np.mean(named) <= 0.1
