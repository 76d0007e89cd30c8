from dataclasses import replace

import numpy as np
import pytest

from sae.errors import UserError
from sae.labelling import scores
from sae.labelling.evidence import MATCHED, QUANTILE, RANDOM, SCORE, FeatureEvidence, draw_evidence
from sae.labelling.interpret import Candidate, label_text
from sae.labelling.label_scores import EVIDENCE_COLUMNS, SCORE_TABLE, predict, score_labels
from sae.labelling.labels import LABEL_TABLE, label_features
from sae.labelling.phrases import MODIFIER, Phrases, prepare_phrases
from sae.labelling.plain_labels import plain_labels
from sae.labelling.roles import PlainPredictor
from sae.statistics import ByFeature
from tests.sae.planted import TOPICS, Planted, embed, planted_corpus

N_TOPICS = len(TOPICS)


@pytest.fixture(scope="module")
def corpus() -> Planted:
    return planted_corpus()


@pytest.fixture(scope="module")
def phrases(corpus: Planted) -> Phrases:
    return prepare_phrases(corpus.texts, corpus.embeddings, embed)


@pytest.fixture(scope="module")
def evidence(corpus: Planted) -> list[FeatureEvidence]:
    return draw_evidence(corpus.embeddings, corpus.by_feature, seed=1)


def test_planted_topics_are_named(phrases: Phrases, evidence: list[FeatureEvidence]) -> None:
    result = label_features(phrases, evidence)
    assert result.table.schema.equals(LABEL_TABLE)
    for label, own in zip(result.labels, TOPICS.values(), strict=False):
        assert any(phrase in label.lower() for phrase in own), (label, own)
        assert label[0].isupper()
    assert result.table["source"].to_pylist()[-2:] == ["local", "none"]
    assert result.labels[-1] == ""


def test_scores_are_high_for_planted_topics_and_zero_for_shuffled_labels(
    phrases: Phrases, evidence: list[FeatureEvidence]
) -> None:
    labels = label_features(phrases, evidence).labels
    table = score_labels(labels, phrases, evidence, 1).table
    assert table.schema.equals(SCORE_TABLE)
    assert table["status"].to_pylist() == ["scored"] * N_TOPICS + ["too rare", "dead"]
    values = np.asarray(table["pearson_random"].to_pylist()[:N_TOPICS], float)
    assert np.median(values) > 0.85
    assert table["pearson_random"].to_pylist()[N_TOPICS:] == [None, None]
    wrong = scores.shuffled(labels, np.random.default_rng(0))
    control = score_labels(wrong, phrases, evidence, 1).table
    assert abs(
        np.median(np.asarray(control["pearson_random"].to_pylist()[:N_TOPICS], float))
    ) < 0.5 * np.median(values)


def test_the_plain_way_is_scored_on_the_same_documents(
    phrases: Phrases, evidence: list[FeatureEvidence]
) -> None:
    labels = plain_labels(phrases, evidence)
    rows = [drawn.rows(SCORE, QUANTILE, RANDOM, MATCHED) for drawn in evidence]
    found = [p.confidences for p in PlainPredictor(phrases).predict(labels, evidence, rows)]
    assert [len(confidences) for confidences in found] == [len(own) for own in rows]
    random = score_labels(labels, phrases, evidence, 1, confidences=found).table["pearson_random"].to_pylist()
    assert random[-1] is None
    assert np.median(np.asarray(random[:N_TOPICS], float)) > 0.5


def test_same_inputs_same_bytes(corpus: Planted, phrases: Phrases, evidence: list[FeatureEvidence]) -> None:
    again = prepare_phrases(corpus.texts, corpus.embeddings, embed)
    redrawn = draw_evidence(corpus.embeddings, corpus.by_feature, seed=1)
    first, second = label_features(phrases, evidence), label_features(again, redrawn)
    assert first.table.equals(second.table)
    scored = score_labels(first.labels, phrases, evidence, 1)
    rescored = score_labels(second.labels, again, redrawn, 1)
    assert scored.table.equals(rescored.table)
    assert scored.evidence.equals(rescored.evidence)


def test_evidence_table_carries_confidences_of_the_scoring_half_only(
    phrases: Phrases, evidence: list[FeatureEvidence]
) -> None:
    labels = label_features(phrases, evidence).labels
    table = score_labels(labels, phrases, evidence, 1).evidence
    assert table.schema.equals(EVIDENCE_COLUMNS)
    for row in table.to_pylist():
        known = row["half"] == "score" and row["feature_id"] < N_TOPICS
        assert (row["confidence"] is not None) == known
        if known:
            assert -1 <= row["confidence"] <= 1


def test_the_predictor_never_sees_activations(phrases: Phrases, evidence: list[FeatureEvidence]) -> None:
    """Turning a feature's own truth upside down leaves its own confidences as they were."""
    labels = label_features(phrases, evidence).labels
    turned = evidence[0].activations.copy()
    turned[evidence[0].roles <= 1] = 0
    turned[evidence[0].roles > 1] = 1
    drawn = evidence[0]
    false = FeatureEvidence(drawn.documents, drawn.roles, drawn.halves, turned, drawn.n_active, drawn.strong)
    honest = predict(labels, evidence, phrases)
    fooled = predict(labels, [false, *evidence[1:]], phrases)
    assert np.array_equal(honest[0], fooled[0])


def test_twin_features_do_not_share_a_label(corpus: Planted, phrases: Phrases) -> None:
    one = corpus.by_feature
    documents = np.tile(one.documents[: one.offsets[1]], 3)
    activations = np.tile(one.activations[: one.offsets[1]], 3)
    twins = ByFeature(np.arange(4) * one.offsets[1], documents, activations)
    labels = label_features(phrases, draw_evidence(corpus.embeddings, twins, seed=0)).labels
    assert len({label.casefold() for label in labels}) == 3


def test_a_person_has_the_last_word_and_is_scored(phrases: Phrases, evidence: list[FeatureEvidence]) -> None:
    result = label_features(phrases, evidence, {0: "galaxies that turn; spirals", 1: "Ocean currents"})
    assert result.labels[0] == "galaxies that turn; spirals"
    assert result.table["source"].to_pylist()[:3] == ["person", "person", "local"]
    assert all(label != "Ocean currents" for label in result.labels[2:])
    row = score_labels(result.labels, phrases, evidence, 1).table.to_pylist()[0]
    assert row["status"] == "scored"
    assert row["pearson_random"] > 0.3


@pytest.mark.parametrize("overrides", [{99: "nowhere"}, {0: " ; "}])
def test_a_bad_override_is_one_clear_sentence(
    overrides: dict[int, str], phrases: Phrases, evidence: list[FeatureEvidence]
) -> None:
    with pytest.raises(UserError, match="label override for feature"):
        label_features(phrases, evidence, overrides)


def test_an_override_longer_than_a_store_holds_is_one_clear_sentence(
    phrases: Phrases, evidence: list[FeatureEvidence]
) -> None:
    label_features(phrases, evidence, {0: "x" * 500})
    with pytest.raises(UserError, match="501 bytes; shorten it to 500"):
        label_features(phrases, evidence, {0: "x" * 501})


def test_labels_of_monstrous_words_fit_the_store(phrases: Phrases) -> None:
    monsters = replace(phrases, texts=["x" * 300 + f" {i}" for i in range(len(phrases))])
    label = label_text(Candidate((0, 1, 2), 0.0, 0.0), monsters)
    assert 0 < len(label.encode()) < 500


def test_a_word_in_all_its_senses_is_named_alone(corpus: Planted) -> None:
    """Documents that share a modifier before ever other nouns: no phrase holds them, the word does."""
    nouns = [
        "models",
        "bias",
        "causes",
        "feedback",
        "curves",
        "layers",
        "solvers",
        "motives",
        "costs",
        "maps",
    ]
    texts = []
    for i, text in enumerate(corpus.texts[:600]):
        noun, filler = nouns[i % 10], " ".join(text.split()[:8])
        texts.append(
            f"Implicit {noun}\n\nOn implicit {noun}. {filler}." if i < 100 else f"{noun}\n\n{filler}."
        )
    embeddings = embed(texts)
    strengths = np.linspace(2, 1, 100, dtype=np.float32)
    entries = ByFeature(np.asarray([0, 100], np.int64), np.arange(100, dtype=np.int32), strengths)
    phrases = prepare_phrases(texts, embeddings, embed)
    assert phrases.lone[phrases.index["implicit"]] == MODIFIER
    assert label_features(phrases, draw_evidence(embeddings, entries, seed=0)).labels == ["Implicit"]
