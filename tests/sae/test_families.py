"""Families against a plain implementation with networkx, planted hierarchies, and shuffled latents."""

from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from sae.errors import UserError
from sae.store import open_store
from sae.structure.cooccurrence import Cooccurrence, active_entries, cooccurrence
from sae.structure.families import (
    Families,
    Family,
    FamilyConfig,
    find_families,
    merge,
    normalised,
    spanning_forest,
)
from sae.structure.feature_filter import FeatureFilter, filter_features
from sae.structure.null_model import shuffle_latents


def planted(n_documents: int = 4000, seed: int = 0) -> tuple[sp.csr_matrix, dict[int, list[int]]]:
    """Latents in which parent p fires with each of its children, plus features that fire anywhere."""
    rng = np.random.default_rng(seed)
    truth = {10 * p: [10 * p + c for c in range(1, 4 + p % 4 + 1)] for p in range(8)}
    n_latents, rows, columns = 120, [], []
    topics = [(parent, child) for parent, children in truth.items() for child in children]
    for document in range(n_documents):
        parent, child = topics[rng.integers(len(topics))]
        noise = rng.integers(80, n_latents, 3).tolist()
        active = (
            {*noise}
            | ({parent} if rng.random() < 0.9 else set())
            | ({child} if rng.random() < 0.8 else set())
        )
        rows += [document] * len(active)
        columns += list(active)
    values = rng.uniform(0.2, 1, len(rows)).astype(np.float32)
    return sp.csr_matrix((values, (rows, columns)), shape=(n_documents, n_latents)), truth


def plain_families(
    latents: sp.csr_matrix, config: FamilyConfig, kept: list[int]
) -> list[tuple[int, frozenset[int]]]:
    """Families the obvious way: dense products, networkx, sets."""
    active = (latents.toarray() > 0).astype(float)
    C, f = active.T @ active, active.sum(axis=0)
    everything = []
    remaining = list(kept)
    for iteration in range(config.iterations):
        graph = nx.Graph()
        graph.add_nodes_from(remaining)
        for i in remaining:
            for j in remaining:
                if i < j and C[i, j] and C[i, j] / min(f[i], f[j]) >= config.threshold:
                    graph.add_edge(i, j, weight=C[i, j] / min(f[i], f[j]))
        tree = nx.maximum_spanning_tree(graph, algorithm="kruskal")
        directed = nx.DiGraph()
        directed.add_nodes_from(remaining)
        for i, j in tree.edges:
            general, specific = sorted((i, j), key=lambda v: (-f[v], v))
            directed.add_edge(general, specific)
        found = []
        for head in remaining:
            if directed.out_degree(head) > 2 and len(nx.descendants(directed, head)) > 3:
                found.append((iteration, head, frozenset({head} | nx.descendants(directed, head))))
        everything += found
        remaining = [i for i in remaining if i not in {head for _, head, _ in found}]
    result: list[tuple[int, frozenset[int]]] = []
    for _, head, members in sorted(everything, key=lambda e: (-len(e[2]), e[0], e[1])):
        if all(len(members & other) / len(members | other) <= config.max_overlap for _, other in result):
            result.append((head, members))
    return result


def latents_of(n_documents: int, n_latents: int, k: int, seed: int) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    k = min(k, n_latents)
    weight = rng.pareto(1.0, n_latents) + 0.05  # some features are much denser than others
    weight /= weight.sum()
    indices = np.stack([rng.choice(n_latents, k, replace=False, p=weight) for _ in range(n_documents)])
    return active_entries(rng.uniform(0.1, 1, (n_documents, k)).astype(np.float32), indices, n_latents)


def families_of(latents: sp.csr_matrix, config: FamilyConfig, kept: np.ndarray | None = None) -> Families:
    n_active = np.bincount(latents.indices, minlength=latents.shape[1])
    return find_families(cooccurrence(latents), n_active, latents.shape[0], kept, config)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(5, 120),
    st.integers(5, 45),
    st.integers(1, 6),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.integers(0, 2**32 - 1),
)
def test_families_equal_the_plain_ones(
    n_documents: int, n_latents: int, k: int, threshold: float, seed: int
) -> None:
    latents = latents_of(n_documents, n_latents, k, seed)
    config = FamilyConfig(threshold=threshold, chance_links=None)
    kept = np.flatnonzero(np.bincount(latents.indices, minlength=n_latents) > seed % 3)
    found = families_of(latents, config, kept)
    expected = plain_families(latents, config, kept.tolist())
    assert [(f.parent, frozenset(f.features.tolist())) for f in found.families] == expected


def test_families_of_a_real_matrix_equal_the_plain_ones(tiny_store: Path) -> None:
    sae = open_store(tiny_store).corpus("planted").sae("SAE6")
    rows = np.arange(sae.corpus.n_documents)
    latents = active_entries(*sae.by_document(rows), sae.weights.n_latents)
    kept = np.flatnonzero(np.bincount(latents.indices, minlength=sae.weights.n_latents) > 2)
    config = FamilyConfig(chance_links=None)
    found = families_of(latents, config, kept)
    assert len(found.families) > 3
    expected = plain_families(latents, config, kept.tolist())
    assert [(f.parent, frozenset(f.features.tolist())) for f in found.families] == expected


@pytest.fixture(scope="module")
def arxiv() -> sp.csr_matrix:
    """Active features of 9,424 astro-ph abstracts, an SAE of 320 latents with k = 4. Written from its build by

    acts, indices = open_store(ARTIFACTS).corpus("astro_ph").sae("SAE4").by_document(range(9424))
    np.savez_compressed("arxiv_latents.npz", indices=np.where(acts > 0, indices, 320).astype(np.uint16))
    """
    with np.load(Path(__file__).parent / "arxiv_latents.npz", allow_pickle=False) as file:
        indices = file["indices"].astype(np.int32)
    return active_entries((indices < 320).astype(np.float32), np.minimum(indices, 319), 320)


def test_families_of_real_abstracts_equal_the_plain_ones(arxiv: sp.csr_matrix) -> None:
    config = FamilyConfig(chance_links=None)
    kept = np.flatnonzero(np.bincount(arxiv.indices, minlength=320) < 0.2 * arxiv.shape[0])
    found = families_of(arxiv, config, kept)
    assert len(found.families) > 20
    expected = plain_families(arxiv, config, kept.tolist())
    assert [(f.parent, frozenset(f.features.tolist())) for f in found.families] == expected


def test_the_forest_of_real_abstracts_is_a_maximum_one(arxiv: sp.csr_matrix) -> None:
    n_active = np.bincount(arxiv.indices, minlength=320)
    config = FamilyConfig(chance_links=None)
    links = normalised([cooccurrence(arxiv)], n_active, np.arange(320), config, arxiv.shape[0])
    expected = nx.maximum_spanning_tree(nx.from_numpy_array(links.toarray()), algorithm="kruskal")
    edges = spanning_forest(links)
    assert len(edges) > 300
    assert sorted(map(tuple, edges.tolist())) == sorted(tuple(sorted(e)) for e in expected.edges)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.floats(0.05, 0.9), st.integers(0, 2**32 - 1))
def test_the_forest_is_a_maximum_one(n_nodes: int, filled: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Few distinct weights, so that many links are equal.
    dense = np.triu(rng.integers(1, 4, (n_nodes, n_nodes)) / 3 * (rng.random((n_nodes, n_nodes)) < filled), 1)
    edges = spanning_forest(sp.csr_matrix(dense))
    expected = nx.maximum_spanning_tree(nx.from_numpy_array(dense), algorithm="kruskal")
    assert sorted(map(tuple, edges.tolist())) == sorted(tuple(sorted(e)) for e in expected.edges)


def test_normalised_by_the_sparser_feature() -> None:
    latents, _ = planted()
    together = cooccurrence(latents)
    n_active = np.bincount(latents.indices, minlength=latents.shape[1])
    kept = np.flatnonzero(n_active % 7 != 0)
    config = FamilyConfig(threshold=0.1, chance_links=None)
    found = normalised([together], n_active, kept, config, latents.shape[0]).toarray()
    active = (latents.toarray() > 0).astype(float)
    share = (active.T @ active)[np.ix_(kept, kept)] / np.minimum.outer(n_active[kept], n_active[kept])
    np.testing.assert_allclose(found, np.triu(np.where(share >= 0.1, share, 0), 1))


def test_planted_hierarchies_come_back() -> None:
    latents, truth = planted()
    found = {
        family.parent: set(family.features.tolist())
        for family in families_of(latents, FamilyConfig()).families
    }
    shares = [
        len(found.get(parent, set()) & set(children)) / len(children) for parent, children in truth.items()
    ]
    assert sum(parent in found for parent in truth) >= 7
    assert np.mean(shares) >= 0.8


def test_the_tree_inside_a_family_leads_from_denser_to_sparser() -> None:
    latents = latents_of(400, 60, 5, 1)
    n_active = np.bincount(latents.indices, minlength=60)
    for family in families_of(latents, FamilyConfig(chance_links=None)).families:
        depth_of = dict(zip(family.features.tolist(), family.depths.tolist(), strict=True))
        assert family.parents[0] == -1
        assert family.depths[0] == 0
        for feature, parent in zip(family.features[1:].tolist(), family.parents[1:].tolist(), strict=True):
            assert n_active[parent] >= n_active[feature]
            assert depth_of[feature] == depth_of[parent] + 1


def test_shuffled_latents_have_no_families() -> None:
    latents, _ = planted()
    for seed in range(3):
        assert len(families_of(shuffle_latents(latents, seed), FamilyConfig()).families) == 0
    # One dense feature is enough to pass τ everywhere by chance: what `chance_links` is for.
    dense = latents_of(3000, 200, 4, 3)
    shuffled = shuffle_latents(dense, 0)
    n_active = np.bincount(shuffled.indices, minlength=200)
    kept = np.flatnonzero((n_active > 0) & (n_active < 0.2 * 3000))
    assert len(families_of(shuffled, FamilyConfig(chance_links=None), kept).families) > 0
    assert len(families_of(shuffled, FamilyConfig(), kept).families) == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 80), st.integers(3, 30), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_shuffling_keeps_both_counts(n_documents: int, n_latents: int, k: int, seed: int) -> None:
    latents = latents_of(n_documents, n_latents, min(k, n_latents - 1), seed)
    shuffled = shuffle_latents(latents, seed)
    lost = latents.nnz - shuffled.nnz
    if np.bincount(latents.indices).max() <= n_documents / 2:
        assert lost == 0
    assert (np.diff(latents.indptr) - np.diff(shuffled.indptr)).sum() == lost
    assert (np.diff(shuffled.indptr) <= np.diff(latents.indptr)).all()
    before, after = (np.bincount(m.indices, minlength=n_latents) for m in (latents, shuffled))
    assert (after <= before).all()
    if not lost:
        np.testing.assert_allclose(np.sort(shuffled.data), np.sort(latents.data))


def test_merging_keeps_the_larger() -> None:
    def family(*features: int, iteration: int = 1) -> Family:
        ids = np.array(features, np.int32)
        return Family(ids, np.full(len(ids), -1, np.int32), np.zeros(len(ids), np.int16), iteration)

    large, most_of_it, half_of_it = family(1, 2, 3, 4, 5, 6, 7), family(2, 3, 4, 5, 6, 7), family(2, 3, 4, 20)
    assert merge([half_of_it, most_of_it, large], 0.6) == (large, half_of_it)
    assert merge([], 0.6) == ()


def test_one_code_path_for_many_features() -> None:
    """20,000 features in memory far below a dense matrix of their pairs (3 GB as float64)."""
    latents = latents_of(300, 40, 4, 0)
    wide = sp.block_diag([latents] * 500, format="csr")
    found = families_of(wide, FamilyConfig(chance_links=None))
    once = families_of(latents, FamilyConfig(chance_links=None))
    assert len(found.families) == 500 * len(once.families)


def test_no_feature_no_family() -> None:
    nothing = Cooccurrence(np.zeros(4, np.int64), *(np.zeros(0, t) for t in (np.int32, np.int32, np.float32)))
    for kept in (np.arange(3), np.zeros(0, np.int64)):
        assert find_families(nothing, np.ones(3), 10, kept).families == ()


def test_the_filter_counts_what_each_rule_leaves_out() -> None:
    labels = ["galaxies", "Galaxies ", None, "rare", "dense", "poor", "", "unscored"]
    density = np.array([0.1, 0.1, 0.1, 0.0, 0.2, 0.1, 0.1, 0.1])
    objective = np.array([0.7, 0.9, 0.9, 0.9, 0.9, 0.6, 0.9, np.nan])
    found = filter_features(labels, density, {"objective": objective})
    assert found.kept.tolist() == [1]
    assert found.left_out == {
        "dead": 1, "unlabelled": 2, "low score": 2, "too dense": 1, "same label as a better one": 1
    }  # fmt: skip
    assert sum(found.left_out.values()) + len(found.kept) == len(labels)


def test_labels_by_a_language_model_are_held_to_the_papers_thresholds() -> None:
    sources = ["local", "llm", "llm", "llm", "person", "local"]
    scores = {
        "objective": np.array([0.7, 0.9, np.nan, np.nan, np.nan, 0.6]),
        "pearson_papers": np.array([0.1, 0.7, 0.9, 0.9, 0.8, 0.9]),
        "f1_papers": np.array([0.1, 0.9, 0.7, 0.9, 0.8, 0.9]),
    }
    labels, density = list("abcdef"), np.full(6, 0.1)
    found = filter_features(labels, density, scores, sources=sources)
    assert found.kept.tolist() == [0, 3, 4]
    assert found.at_least == {"objective": 0.65, "pearson_papers": 0.8, "f1_papers": 0.8}
    asked = filter_features(labels, density, scores, FeatureFilter({"objective": 0.65}), sources)
    assert asked.kept.tolist() == [0, 1]
    assert filter_features(labels, density, scores).at_least == {"objective": 0.65}


def test_filters_and_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(UserError, match="f1_papers"):
        filter_features(
            ["a"], np.array([0.1]), {"pearson_papers": np.ones(1)}, FeatureFilter({"f1_papers": 0.8})
        )
    with pytest.raises(UserError, match="threshold"):
        FamilyConfig(threshold=2)
    with pytest.raises(UserError, match="chance_links"):
        FamilyConfig(chance_links=0)
    with pytest.raises(UserError, match="at_least"):
        FeatureFilter({})
