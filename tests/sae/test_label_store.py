"""The history of labels and the comparison of pairs, as a store holds them; older stores hold neither."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sae import schema
from sae.labelling.label_pairs import summarise_pairs
from sae.storage import label_store
from sae.store import open_store


def test_every_label_has_its_history(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    for name in corpus.saes:
        sae = corpus.sae(name)
        assert label_store.has_history(sae)
        labels = sae.features(["label", "source"]).to_pylist()
        for feature in (0, sae.n_latents // 2, sae.n_latents - 1):
            rows = label_store.history(sae, feature).to_pylist()
            chosen = [row["label"] for row in rows if row["chosen"]]
            assert chosen == ([labels[feature]["label"]] if labels[feature]["source"] != "none" else [])
            assert [row["number"] for row in rows] == list(range(len(rows)))


def test_the_local_and_the_plain_pair_are_always_compared(tiny_store: Path) -> None:
    corpus = open_store(tiny_store).corpus("planted")
    assert label_store.has_pairs(corpus)
    rows = label_store.pairs(corpus)
    assert {(row["interpreter"], row["predictor"]) for row in rows.to_pylist()} == {
        ("local", "local"),
        ("plain", "plain"),
    }
    assert rows["sae"].unique().to_pylist() == [max(corpus.saes, key=lambda name: corpus.sae(name).n_latents)]
    own = [{name: row[name] for name in row if name != "sae"} for row in rows.to_pylist()]
    kept = [{n: row[n] for n in row if n != "sae"} for row in label_store.pair_summary(corpus).to_pylist()]
    assert [row["value"] for row in summarise_pairs(own, 0)] == pytest.approx(
        [row["value"] for row in kept], rel=1e-5
    )


def test_medians_leave_errors_out_and_count_them() -> None:
    rows = [
        {"interpreter": "a", "predictor": "b", "pearson_random": value}
        for value in (0.2, 0.4, None, 0.9, None)
    ]
    summary = {row["measure"]: row for row in summarise_pairs(rows, 0)}
    found = summary["pearson_random"]
    assert (found["value"], found["n"], found["errors"]) == (pytest.approx(0.4), 3, 2)
    assert 0.2 <= found["low"] <= 0.4 <= found["high"] <= 0.9
    assert (summary["f1_papers"]["value"], summary["f1_papers"]["n"]) == (None, 0)


@pytest.mark.parametrize(
    ("columns", "path"),
    [
        (schema.LABEL_HISTORY_COLUMNS, "planted/SAE3/label_history.parquet"),
        (schema.LABEL_PAIR_COLUMNS, "planted/label_pairs.parquet"),
        (schema.LABEL_PAIR_SUMMARY_COLUMNS, "planted/label_pair_summary.parquet"),
    ],
)
def test_files_have_the_columns_of_the_schema(tiny_store: Path, columns: pa.Schema, path: str) -> None:
    assert pq.read_schema(open_store(tiny_store).path / path).equals(columns)
