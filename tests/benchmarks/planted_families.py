"""How much of the hierarchy planted in synthetic texts comes back as families.

    python tests/benchmarks/planted_families.py [--documents 900 3000] [--corpora 3] [--seeds 2]

Texts are embedded by MiniLM; each corpus is drawn anew, and an autoencoder with prefixes trained on it from each seed.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from build.corpora.synthetic import read_synthetic, truth
from build.embedders import make_embedder
from tests.sae.test_planted_families import hierarchy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--documents", type=int, nargs="+", default=[900, 3000])
    parser.add_argument("--corpora", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    embedder, found = make_embedder({"kind": "minilm"}), []
    for n_documents in arguments.documents:
        for drawn in range(arguments.corpora):
            texts = [f"{raw.title}\n{raw.text}" for raw in read_synthetic(n_documents, drawn)]
            embeddings = embedder.embed(texts)
            for seed in range(arguments.seeds):
                found.append(hierarchy(embeddings, truth(n_documents, drawn), seed))
                parents, children, by_chance = found[-1]
                print(
                    f"{n_documents:,} documents, corpus {drawn}, seed {seed}: {parents} of 9 parents, "
                    f"{children:.2f} of children, {by_chance} families by chance",
                    flush=True,
                )
    parents, children, by_chance = np.mean(found, axis=0)
    print(f"mean: {parents:.1f} of 9 parents, {children:.2f} of children, {by_chance:.1f} families by chance")


if __name__ == "__main__":
    main()
