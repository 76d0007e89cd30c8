"""``python -m build.verify [FOLDER]``: compare every byte of a build with its manifest, and its files together."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from build.display import Display, fail
from sae.errors import UserError
from sae.manifest import damages
from sae.store import Store, open_store


def main(
    folder: Annotated[Path, typer.Argument(help="An artifacts folder, or one build in it.")] = Path(
        "artifacts"
    ),
) -> None:
    """Name every damaged, missing or foreign file of a build; the exit code is 1 when there is one."""
    try:
        found = verify(folder, Display())
    except UserError as error:
        fail(str(error))
        raise typer.Exit(1) from None
    if found:
        fail(f"{found} damaged. Run `make artifacts` to mend what this machine built, or fetch it again.")
        raise typer.Exit(1)


def verify(folder: Path, display: Display) -> int:
    """Print a line for each damage and return how many there are."""
    store = open_store(folder, check_sizes=False)
    found = 0
    with display.task("", f"verify {store.path}", "files") as progress:
        for path, reason in damages(store.path, store.manifest, progress):
            display.say(f"{path} {reason}")
            found += 1
    if not found:
        for sentence in disagreements(store):
            display.say(sentence)
            found += 1
    if not found:
        size = sum(entry.size for entry in store.manifest.files.values())
        display.say(f"{store.path}: {len(store.manifest.files):,} files, {size / 1e6:,.1f} MB, all as built.")
    return found


def disagreements(store: Store) -> list[str]:
    """What the checksums cannot see: files that are whole but do not belong together."""
    sentences = []
    for name in store.corpora:
        try:
            corpus = store.corpus(name)
            corpus.documents([0])
            sizes = {len(corpus.embeddings), len(corpus.search_rows), len(corpus.search_scales)}
            if sizes != {corpus.n_documents}:
                sentences.append(
                    f"{name}: its files count {sorted(sizes)} documents, not {corpus.n_documents}."
                )
            for sae_name in corpus.saes:
                sae = corpus.sae(sae_name)
                features = sae.features(["feature_id"])["feature_id"].to_numpy()
                if not np.array_equal(features, np.arange(sae.weights.n_latents)):
                    sentences.append(f"{name}/{sae_name}: its features are not those of its weights.")
                sae.by_document([0])
                sae.by_feature(0)
                sae.training()
        except UserError as error:
            sentences.append(str(error))
    return sentences


if __name__ == "__main__":
    typer.run(main)
