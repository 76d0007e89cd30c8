"""Stage: for each corpus the features that another corpus' SAE of the same k has too, and how well labels
travel."""

from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from build.judge import Judge
from build.llm.options import read_labeller
from build.work import Target, Work
from sae import schema
from sae.encode import Weights, encode
from sae.storage.arrays import Group, write_table
from sae.storage.weights import read_weights
from sae.structure.cooccurrence import active_entries
from sae.structure.domains import DomainMatches, label_overlap, match_domains, shared_documents

LENT_FROM = 0.3  # labels are lent where the directions' cosine reaches this
_ROWS_AT_ONCE = 8192


def settings(target: Target) -> object:
    return [target.config.seed, list(target.sae_names), [corpus.name for corpus in target.config.corpora]]


def run(work: Work) -> dict[str, Any]:
    corpora = [corpus.name for corpus in work.target.config.corpora]
    tables: dict[str, list[pa.Table]] = {corpus: [] for corpus in corpora}
    steps = [(one, other, sae) for one, other in permutations(corpora, 2) for sae in work.target.sae_names]
    judges = {corpus: Judge.of(work, corpus, lambda *_: None) for corpus in corpora} if steps else {}
    for done, (one, other, sae) in enumerate(steps, 1):
        tables[one].append(_compare(work, judges, one, other, sae))
        work.progress(done, len(steps), f"{one} in {other}, {sae}")
    for corpus in corpora if steps else []:
        (work.out / corpus).mkdir()
        write_table(work.out / corpus / schema.DOMAINS, pa.concat_tables(tables[corpus]))
    return {}


def _compare(work: Work, judges: dict[str, Judge], one: str, other: str, sae: str) -> pa.Table:
    """All features of one corpus' SAE with their nearest in the other's."""
    own_weights, their_weights = (
        read_weights(work.input("train", sae, corpus) / schema.SAE) for corpus in (one, other)
    )
    # Both corpora stand one after the other, so a shared document is looked at where the first one has it.
    rows, _ = shared_documents(*(_doc_ids(work, corpus) for corpus in (one, other)))
    latents, other_latents = (_encode_both(judges, (one, other), w) for w in (own_weights, their_weights))
    found = match_domains(own_weights, their_weights, latents, other_latents, rows)
    features = [
        pq.read_table(work.input("features", corpus=corpus) / sae / schema.FEATURES,
                      columns=["label", "pearson_random", "f1_random"])
        for corpus in (one, other)
    ]  # fmt: skip
    labels, theirs = (table["label"].to_pylist() for table in features)
    lent = [theirs[found.nearest[i]] if found.cosines[i] >= LENT_FROM else "" for i in range(len(labels))]
    group = Group(work.input("encode", sae, one) / schema.LATENTS, schema.LATENT_ARRAYS)
    top_acts, top_indices = group.read("top_acts"), group.read("top_indices")
    scores = judges[one].features(top_acts, top_indices, lent)
    if read_labeller(
        work.target.config
    ).asks:  # a difference of two Predictors would say nothing of the labels
        features[0] = judges[one].features(top_acts, top_indices, labels)
    columns = _columns(sae, other, found, labels, theirs)
    for name, score in (("delta_pearson", "pearson_random"), ("delta_f1", "f1_random")):
        own, new = (t[score].to_numpy(zero_copy_only=False).astype(np.float64) for t in (features[0], scores))
        columns[name] = pa.array(new - own, pa.float32(), mask=~np.isfinite(new - own))
    return pa.table(columns).select(schema.DOMAIN_COLUMNS.names).cast(schema.DOMAIN_COLUMNS)


def _columns(
    sae: str, other: str, found: DomainMatches, labels: list[str], theirs: list[str]
) -> dict[str, pa.Array]:
    n = len(labels)
    overlap = np.array([label_overlap(labels[i], theirs[found.nearest[i]]) for i in range(n)])
    return {
        "sae": pa.array([sae] * n),
        "feature_id": pa.array(np.arange(n)),
        "other_corpus": pa.array([other] * n),
        "other_sae": pa.array([sae] * n),
        "nearest": pa.array(found.nearest),
        "cosine": pa.array(found.cosines),
        "mutual": pa.array(found.mutual),
        "similarity": pa.array(found.similarities),
        "active": pa.array(found.active),
        "shared_similarity": pa.array(
            found.shared_similarities, pa.float32(), mask=np.isnan(found.shared_similarities)
        ),
        "shared_active": pa.array(found.shared_active),
        "label_overlap": pa.array(overlap, pa.float32(), mask=np.isnan(overlap)),
    }


def _doc_ids(work: Work, corpus: str) -> list[str]:
    path = work.input("documents", corpus=corpus) / schema.DOCUMENTS
    return pq.read_table(path, columns=["doc_id"])["doc_id"].to_pylist()


def _encode_both(judges: dict[str, Judge], corpora: tuple[str, str], weights: Weights) -> Any:
    """The documents of both corpora, one after the other, encoded by one SAE: sparse (n_documents,
    n_latents)."""
    acts, indices = [], []
    for corpus in corpora:
        embeddings = judges[corpus].embeddings
        for start in range(0, len(embeddings), _ROWS_AT_ONCE):
            found = encode(embeddings[start : start + _ROWS_AT_ONCE], weights)
            acts.append(found[0])
            indices.append(found[1])
    return active_entries(np.concatenate(acts), np.concatenate(indices), weights.n_latents)
