"""The card of a published store: what it is, corpora and licences, models and scores, how to open and cite it."""

import math
import re
import statistics
from typing import Any

from sae.citation import PAPERS, build_entry
from sae.store import Store

# What a hub knows as a licence, by the words that name it in a profile.
_LICENCES = {"cc0": "cc0-1.0", "cc by 4": "cc-by-4.0", "cc-by-4": "cc-by-4.0", "mit": "mit", "psf": "psfl",
             "apache": "apache-2.0"}  # fmt: skip


def card(store: Store, address: str) -> str:
    """Markdown with the front matter of a dataset's card; ``address`` is where the store will be opened from."""
    manifest = store.manifest
    n_documents = sum(facts["n_documents"] for facts in manifest.corpora.values())
    size = sum(entry.size for entry in manifest.files.values())
    title = plain(manifest.title) or "Sextant store"
    pinned = f"{address}#sha256={store.digest}"
    return "\n".join(
        [
            "---",
            f"license: {_licence(store)}",
            f"pretty_name: {_quoted(title)}",
            "tags: [sparse-autoencoder, interpretability, embeddings, semantic-search, sextant]",
            "viewer: false",
            "---",
            "",
            f"# {title}",
            "",
            f"A store of Sextant, which searches and steers embeddings by named concepts: "
            f"{n_documents:,} documents with their embeddings, sparse autoencoders trained on them, and a label "
            f"with its scores for every feature. {len(manifest.files):,} files, {size / 1e6:,.0f} MB, build "
            f"`{manifest.build}` of {plain(manifest.created)[:10]}. No code, no pickle.",
            "",
            "## Corpora",
            "",
            "| corpus | documents | source | licence of the texts | embedded with |",
            "|---|---|---|---|---|",
            *(
                f"| {plain(facts.get('title') or name)} | {facts['n_documents']:,} | {plain(facts.get('source'))} "
                f"| {plain(facts.get('licence')) or 'not recorded'} | {plain(facts.get('embedder'))}, "
                f"{facts['d_in']:,} dimensions |"
                for name, facts in manifest.corpora.items()
            ),
            "",
            "## Models and scores",
            "",
            "Error is the share of the embeddings' variance that is not explained, on documents never trained on. "
            "Label scores are median Pearson correlations on documents that the labeller did not see, against "
            "random documents and against the nearest documents in which the feature is silent.",
            "",
            "| corpus | model | k | latents | error | label score, random | label score, nearest |",
            "|---|---|---|---|---|---|---|",
            *_models(store),
            "",
            "## Open it",
            "",
            "```",
            f"ARTIFACTS='{pinned}' streamlit run dashboard/Home.py",
            "```",
            "",
            "in a checkout of Sextant with `pip install -r dashboard/requirements.txt`. It is fetched once, into "
            "`~/.cache/sextant`, and every file is compared with its checksum.",
            "",
            "```python",
            "from sae.store import open_store",
            f'store = open_store("{pinned}")',
            "```",
            "",
            "## Cite",
            "",
            "The methods, and this build by its name:",
            "",
            "```",
            PAPERS,
            "",
            build_entry(manifest.build, manifest.title, manifest.created),
            "```",
            "",
        ]
    )


def _models(store: Store) -> list[str]:
    rows = []
    for name in store.corpora:
        corpus = store.corpus(name)
        for sae_name in corpus.saes:
            sae = corpus.sae(sae_name)
            table = sae.features(["status", "pearson_random", "pearson_matched"]).to_pylist()
            scored = [row for row in table if row["status"] == "scored"]
            rows.append(
                f"| {plain(name)} | {plain(sae_name)} | {sae.k} | {sae.n_latents:,} | "
                f"{_number(sae.facts.get('held_out_fvu'))} | {_median(scored, 'pearson_random')} | "
                f"{_median(scored, 'pearson_matched')} |"
            )
    return rows


def _median(rows: list[dict[str, Any]], name: str) -> str:
    values = [row[name] for row in rows if row[name] is not None]
    return _number(statistics.median(values)) if values else "–"


def _number(value: Any) -> str:
    sound = isinstance(value, int | float) and math.isfinite(value)
    return f"{value:.3f}" if sound else "–"


def plain(value: Any) -> str:
    """One line of text in which no character means anything to Markdown."""
    text = " ".join(str("" if value is None else value).split())[:300]
    return re.sub(r"([\\`*_{}\[\]<>|#$~!])", r"\\\1", "".join(c for c in text if c.isprintable()))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "").replace('"', "'") + '"'


def _licence(store: Store) -> str:
    named = {str(facts.get("licence", "")).lower() for facts in store.manifest.corpora.values()}
    known = {
        tag for text in named for word, tag in _LICENCES.items() if re.search(rf"\b{re.escape(word)}", text)
    }
    return known.pop() if len(named) == 1 and len(known) == 1 else "other"
