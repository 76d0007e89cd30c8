"""What all SAEs of a corpus are evaluated on: documents, queries, an embedder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from build.embedders import embed_corpus, make_embedder
from build.evaluation.queries_for_trials import TrialQueries, from_documents, from_file
from build.evaluation.steering_methods import CONTROL, EDITS, FIDELITIES, METHODS, REWRITTEN_BY_MODEL
from build.money import checked_budget
from build.train import split
from build.work import Work
from sae import schema
from sae.errors import UserError

_BACKGROUND = 1000  # documents that tell the judge what is usual


@dataclass(frozen=True)
class EvaluationConfig:
    """The profile's [evaluation] table."""

    queries: int = 200  # Real queries tried on each SAE; one trial each.
    files: dict[str, str] | None = None  # Corpus name → file with one query a line, in place of its own.
    beir: str | dict[str, str] = (
        ""  # Folder of a test collection in BEIR's format, for all corpora or by name.
    )
    documents: int = 60_000  # Documents searched; a seeded sample of larger corpora.
    judge: str = ""  # Language model that judges as well, by the server of [labeller]; none when empty.
    rewriter: str = ""  # Language model that puts wishes in words.
    judged_trials: int = (
        50  # Trials of each SAE that the language model judges, a call for each way and fidelity.
    )
    judged_methods: tuple[str, ...] = ("feature", "typical", "rewriting", REWRITTEN_BY_MODEL, CONTROL)
    judged_edits: tuple[str, ...] = ("both",)  # "both", "even", "up", "down".
    judged_fidelities: tuple[float, ...] = (0.95, 0.9, 0.75, 0.5)
    budget_usd: float | None = None  # For all of it in a store, earlier runs included; None for no bound.
    good: float = 0.9  # Pearson and F1 against random documents that a feature's label must reach.

    def __post_init__(self) -> None:
        for name, known in (
            ("judged_methods", (*METHODS, REWRITTEN_BY_MODEL, CONTROL)),
            ("judged_edits", EDITS),
            ("judged_fidelities", FIDELITIES),
        ):
            if unknown := [value for value in getattr(self, name) if value not in known]:
                there = ", ".join(map(str, known))
                raise UserError(f"[evaluation] {name} holds {unknown[0]!r}; there are {there}.")
        checked_budget(self.budget_usd, "[evaluation]")

    @property
    def asked(self) -> tuple[str, ...]:
        """The language models that are asked."""
        return tuple(name for name in (self.judge, self.rewriter) if name)

    def collection(self, corpus_name: str) -> Path | None:
        """The folder of the test collection that a corpus's SAEs are tried on, if any."""
        folder = self.beir if isinstance(self.beir, str) else self.beir.get(corpus_name, "")
        return Path(folder) if folder else None


class EvaluationCorpus:
    """Attributes: rows int64 (m,) of the documents searched, their embeddings float32 (m, d_in), queries and their
    embeddings x float32 (n, d_in), own int64 (n,) the place of a query's own document or −1, background."""

    def __init__(self, work: Work, options: EvaluationConfig) -> None:
        config = work.target.config
        self.options, self.seed = options, config.seed
        table = pq.read_table(
            work.input("documents") / schema.DOCUMENTS, columns=["title", "text", "categories"]
        )
        self.titles, self.texts = table["title"].to_pylist(), table["text"].to_pylist()
        self.document_categories = table["categories"].to_pylist()
        everything = np.load(work.input("embeddings") / schema.EMBEDDINGS, mmap_mode="r", allow_pickle=False)
        rng = np.random.default_rng([self.seed, 22])
        n = len(everything)
        self.rows = np.sort(rng.permutation(n)[: options.documents])
        self.n_documents = n
        self.embeddings = np.asarray(everything[self.rows], np.float32)
        self.embeddings /= np.maximum(np.linalg.norm(self.embeddings, axis=1, keepdims=True), 1e-12)
        embedder = make_embedder(config.embedder)
        cache = work.cache / "embeddings.sqlite"
        self.embed = lambda texts: embed_corpus(embedder, list(texts), cache)
        self.queries = self._queries(work, options)
        self.x = np.asarray(self.embed(self.queries.texts), np.float32)
        place = np.full(n, -1, np.int64)
        place[self.rows] = np.arange(len(self.rows))
        self.own = np.where(self.queries.documents >= 0, place[self.queries.documents], -1)
        self.background = np.sort(rng.permutation(len(self.rows))[:_BACKGROUND])

    def _queries(self, work: Work, options: EvaluationConfig) -> TrialQueries:
        corpus = work.target.corpus
        if path := (options.files or {}).get(corpus.name):
            return from_file(Path(path), options.queries)
        _, held_out = split(self.n_documents, work.target.config.held_out, self.seed)
        return from_documents(self.titles, self.texts, held_out, corpus.examples, options.queries, self.seed)

    def text(self, row: int) -> str:
        at = int(self.rows[row])
        return f"{self.titles[at]}\n\n{self.texts[at]}"
