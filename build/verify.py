"""``python -m build.verify [FOLDER]``: compare every byte of a build with its manifest, and its files together."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from build.display import Display, fail
from sae.errors import UserError
from sae.storage import label_store
from sae.storage.address import is_address
from sae.storage.manifest import damages
from sae.store import Store, open_store


def main(
    folder: Annotated[
        str, typer.Argument(help="An artifacts folder, one build in it, a bundle, or an address.")
    ] = "artifacts",
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


def verify(folder: Path | str, display: Display) -> int:
    """Print a line for each damage and return how many there are."""
    if is_address(folder):
        with display.task("", f"fetch {folder}", "MB") as progress:
            store = open_store(folder, check_sizes=False, progress=progress)
    else:
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
        display.say(f"sha256 of its manifest, which covers them all: {store.digest}")
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
                if label_store.has_history(sae):
                    label_store.history(sae, 0)
            if label_store.has_pairs(corpus):
                label_store.pairs(corpus)
                label_store.pair_summary(corpus)
        except UserError as error:
            sentences.append(str(error))
    return sentences


if __name__ == "__main__":
    typer.run(main)
