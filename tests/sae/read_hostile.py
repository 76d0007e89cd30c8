"""Read all of some stores in a process that notes every file it opens; one line of JSON for each store.

Arguments: the stores. Run by test_hostile.py.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from sae import label_store, scaling_store, structure_store
from sae.errors import UserError
from sae.evaluation_store import Evaluation
from sae.store import open_store
from sae.structure_store import FamilyReader

ALLOWED = [
    os.path.realpath(p)
    for p in (
        sys.prefix,
        sys.base_prefix,
        "/proc",
        "/sys",
        "/dev",
        "/usr/share/zoneinfo",
        Path(__file__).parents[2],
    )
]


def read_everything(root: Path) -> None:
    """Read what the pages read. Raises UserError."""
    store = open_store(root)
    _ = store.query_encoder
    for name in store.corpora:
        corpus = store.corpus(name)
        corpus.documents(np.arange(min(40, corpus.n_documents))).to_pylist()
        corpus.column("title").to_pandas()
        _ = corpus.embeddings, corpus.search_rows, corpus.search_scales
        corpus.queries().to_pylist()
        corpus.quarantine().to_pylist()
        for sae_name in corpus.saes:
            sae = corpus.sae(sae_name)
            sae.features().to_pandas()
            sae.training().to_pandas()
            _ = sae.weights, sae.label_vectors
            sae.by_document(np.arange(min(40, corpus.n_documents)))
            for feature in (0, 5, sae.n_latents - 1):
                sae.evidence(feature).to_pandas()
                sae.by_feature(feature)
                sae.cooccurring(feature)
                if label_store.has_history(sae):
                    label_store.history(sae, feature).to_pandas()
            families = FamilyReader(sae)
            if families.available:
                for table in (
                    families.scores(),
                    families.members(),
                    families.metrics(),
                    families.structure(),
                ):
                    table.to_pandas()
                families.points(0).to_pandas()
        if scaling_store.has_scaling(corpus):
            for read in (scaling_store.runs, scaling_store.curves, scaling_store.fits):
                read(corpus).to_pandas()
            if scaling_store.has_cosines(corpus):
                scaling_store.cosines(corpus).to_pandas()
        evaluation = Evaluation(corpus)
        if evaluation.available:
            for name in ("steering", "optimisation", "contour", "retrieval", "categories", "truth"):
                getattr(evaluation, name)().to_pandas()
        if label_store.has_pairs(corpus):
            label_store.pairs(corpus).to_pandas()
            label_store.pair_summary(corpus).to_pandas()
        if structure_store.has_splitting(corpus):
            structure_store.splitting(corpus).to_pandas()
            structure_store.splitting_summary(corpus).to_pandas()
        if structure_store.has_domains(corpus):
            structure_store.domains(corpus).to_pandas()


def _peak() -> int:
    """Most memory that this process has had so far, in MB; rusage would count what its parent had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def main() -> None:
    foreign: list[str] = []
    here = [""]

    def hook(event: str, arguments: tuple) -> None:
        if event in ("open", "os.listdir", "os.scandir") and isinstance(
            arguments[0], str | bytes | os.PathLike
        ):
            path = os.path.realpath(os.fsdecode(arguments[0]))
            if not any(path == root or path.startswith(root + os.sep) for root in [*ALLOWED, *here]):
                foreign.append(path)
        elif event in (
            "subprocess.Popen",
            "os.system",
            "os.mkdir",
            "socket.connect",
            "os.exec",
            "pickle.find_class",
        ):
            foreign.append(f"{event} {arguments}")

    sys.addaudithook(hook)
    for root in sys.argv[1:]:
        here[0] = os.path.realpath(root)
        started, said, kind = time.perf_counter(), "", "read"
        try:
            read_everything(Path(root))
        except UserError as error:
            said, kind = str(error), "refused"
        except BaseException as error:
            said, kind = f"{type(error).__name__}: {error}", "broke"
        peak = _peak()
        seconds = round(time.perf_counter() - started, 2)
        print(
            json.dumps({"kind": kind, "said": said, "seconds": seconds, "peak": peak, "foreign": foreign}),
            flush=True,
        )
        foreign.clear()


if __name__ == "__main__":
    main()
