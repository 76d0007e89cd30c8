"""How much of the hierarchy planted in synthetic texts comes back as families.

    python tests/benchmarks/planted_families.py [--documents 900 3000] [--corpora 3] [--seeds 2]
        [--general 10] [--latents 64] [--active 6] [--steps 1000]

Texts are embedded by MiniLM; each corpus is drawn anew, and an autoencoder trained on it from each seed, whose first
features (``--general``) reconstruct alone; with ``--general 0`` it is a plain one. F1: with which its best feature
tells a topic, mean over topics. Before all that: the same for a line through each topic's mean, on other documents
than it was drawn through, to see whether the embeddings hold the topics at all.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from build.corpora.synthetic import read_synthetic, truth
from build.embedders import make_embedder
from tests.sae.planted_hierarchy import best_f1, of_texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, nargs="+", default=[900, 3000])
    for name, default in (("corpora", 3), ("seeds", 2), ("general", 10), ("latents", 64), ("active", 6)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--steps", type=int, default=1000)
    arguments = parser.parse_args()
    embedder, found = make_embedder({"kind": "minilm"}), []
    for n_documents in arguments.documents:
        for drawn in range(arguments.corpora):
            texts = [f"{raw.title}\n{raw.text}" for raw in read_synthetic(n_documents, drawn)]
            embeddings, planted = embedder.embed(texts), truth(n_documents, drawn)
            broad = planted.parents < 0
            line = told_linearly(embeddings, planted.mentions)
            print(
                f"{n_documents:,} documents, corpus {drawn}: a line tells broad topics with F1 "
                f"{line[broad].mean():.2f}, narrower ones {line[~broad].mean():.2f}",
                flush=True,
            )
            for seed in range(arguments.seeds):
                back = of_texts(
                    embeddings,
                    planted,
                    seed,
                    general=arguments.general or None,
                    n_latents=arguments.latents,
                    k=arguments.active,
                    steps=arguments.steps,
                )
                f1 = best_f1(back.latents.toarray(), planted.mentions)
                row = (back.parents, back.children, back.by_chance, f1[broad].mean(), f1[~broad].mean())
                found.append(row)
                print(f"  seed {seed}: {told(row)}", flush=True)
    print(f"mean: {told(tuple(np.mean(found, axis=0)))}")


def told(row: tuple[float, ...]) -> str:
    parents, children, by_chance, f1_broad, f1_narrow = row
    return (
        f"{parents:.3g} of 9 parents, {children:.2f} of children, {by_chance:.2g} families by chance; "
        f"F1 of the best feature: broad {f1_broad:.2f}, narrower {f1_narrow:.2f}"
    )


def told_linearly(embeddings: np.ndarray, mentions: np.ndarray) -> np.ndarray:
    """F1 of each topic, float64 (n_topics,): of one half of the documents by the difference of means in the other."""
    drawn = np.arange(len(embeddings)) % 2 == 0
    means = [
        embeddings[drawn & topic].mean(axis=0) - embeddings[drawn & ~topic].mean(axis=0)
        for topic in mentions.T
    ]
    along = embeddings[~drawn] @ np.stack(means, axis=1)
    held_out = mentions[~drawn]
    along -= along.min(axis=0) - 1  # best_f1 looks at what is above 0
    return np.array([best_f1(along[:, [i]], held_out[:, [i]])[0] for i in range(mentions.shape[1])])


if __name__ == "__main__":
    main()
