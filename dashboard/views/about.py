"""What this build is: its sources, errors and settings, what was left out, how to check and cite it."""

from collections import Counter
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import chips, data, frame, state
from dashboard.about_models import labels, models
from dashboard.origin import origin
from dashboard.tables import download_table
from dashboard.text import plain_text, safe_text
from sae.citation import PAPERS, build_entry
from sae.schema import SCHEMA_VERSION
from sae.storage.manifest import Manifest
from sae.tex import letters

_TABLE_HEIGHT = 320  # pixels
_EXAMPLES = 5  # documents shown for each reason of having been left out


def view() -> None:
    manifest = data.store().manifest
    frame.header("About", "What was built, from what, with what errors, and how to check it.", models=False)
    _summary(manifest)
    origin()
    _corpora(manifest)
    models(manifest)
    labels()
    _left_out(manifest)
    _making(manifest)
    _verify_and_cite(manifest)


def _summary(manifest: Manifest) -> None:
    n_documents = sum(facts["n_documents"] for facts in manifest.corpora.values())
    n_models = sum(len(facts["saes"]) for facts in manifest.corpora.values())
    size = sum(entry.size for entry in manifest.files.values())
    st.markdown(
        f"**{safe_text(manifest.title)}** · {n_documents:,} documents in "
        f"{_count(len(manifest.corpora), 'corpus')}, {_count(n_models, 'model')}, {megabytes(size)} in "
        f"{len(manifest.files):,} files. "
        f"Built {made(manifest.created)}, build `{plain_text(manifest.build, 64)}`."
    )


def _count(number: int, noun: str) -> str:
    plural = {"corpus": "corpora"}.get(noun, noun + "s")
    return f"{number:,} {noun if number == 1 else plural}"


def made(created: str) -> str:
    """``21 Nov 2026, 02:00 UTC`` of an ISO 8601 time; the text itself where it is none."""
    try:
        time = datetime.fromisoformat(created)
    except ValueError:
        return safe_text(created, 40)
    return f"{time.day} {time:%b %Y, %H:%M} UTC"


def megabytes(size: float) -> str:
    """A size in bytes as ``0.4 MB``, ``33 MB`` or ``1.2 GB``."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def duration(seconds: Any) -> str:
    """``31 s`` or ``2 min 23 s``; a dash for a missing one."""
    found = chips.number(seconds)
    if found is None:
        return "–"
    if found < 60:
        return f"{found:.1f} s" if found < 10 else f"{found:.0f} s"
    minutes, rest = divmod(round(found), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _corpora(manifest: Manifest) -> None:
    st.subheader("Corpora", anchor=False)
    for name, facts in manifest.corpora.items():
        size = sum(entry.size for path, entry in manifest.files.items() if path.startswith(f"{name}/"))
        left_out = _total(facts.get("quarantined"))
        st.markdown(
            f"**{safe_text(facts.get('title') or name)}** · {facts['n_documents']:,} documents"
            + ("" if left_out is None else f" · {left_out:,} left out or altered")
            + f" · {megabytes(size)}  \n"
            f"Source: {_fact(facts, 'source')}. Licence: {_fact(facts, 'licence')}.  \n"
            f"Embedded with {_fact(facts, 'embedder')}, {facts['d_in']:,} dimensions."
        )
    if digest := manifest.provenance.get("weights_sha256"):
        st.caption(f"sha256 of the embedding model's weights: {safe_text(digest, 64)}")


def _fact(facts: dict[str, Any], name: str) -> str:
    return safe_text(facts.get(name), 400) or "not recorded"


def _total(quarantined: Any) -> int | None:
    """How many documents were left out: a count, or counts by reason."""
    if isinstance(quarantined, dict):
        return sum(int(chips.number(count) or 0) for count in quarantined.values())
    found = chips.number(quarantined)
    return None if found is None else int(found)


def _left_out(manifest: Manifest) -> None:
    corpus_name, _ = state.selected()
    st.subheader("Left out or altered", anchor=False)
    table = data.corpus(corpus_name).quarantine().to_pandas()
    facts = manifest.corpora[corpus_name]
    read = chips.number(facts.get("n_read"))
    of = f" of {int(read):,} read" if read else ""
    if table.empty:
        kept = f": {int(read):,} read, all kept" if read else ""
        st.caption(f"Nothing was left out of {safe_text(corpus_name)}{kept}.")
        return
    counts = Counter(plain_text(reason, 80) for reason in table["reason"])
    st.caption(
        f"{_count(len(table), 'row')}{of} in {safe_text(corpus_name)}: a document that is empty, too short, "
        "repeated or broken would bend what the models learn."
    )
    reasons = pd.DataFrame(counts.most_common(), columns=["Reason", "Documents"])
    left, right = st.columns([2, 3], gap="large")
    with left:
        _plain_table(reasons, "Reasons and counts")
    with right:
        examples = table.groupby("reason", sort=False).head(_EXAMPLES)
        shown = pd.DataFrame(
            {
                "Reason": [plain_text(value, 80) for value in examples["reason"]],
                "Title": [
                    plain_text(letters(value or ""), 160) or "(no title)" for value in examples["title"]
                ],
                "Detail": [plain_text(value, 200) for value in examples["detail"]],
                "Document": [plain_text(value, 80) for value in examples["doc_id"]],
            }
        )
        _plain_table(shown, "Examples")
        download_table(table, f"{corpus_name}-left-out", key="quarantine-csv")


def _making(manifest: Manifest) -> None:
    st.subheader("How it was made", anchor=False)
    left, right = st.columns(2, gap="large")
    with left:
        rows = [
            {
                "Stage": plain_text(stage.get("name"), 60),
                "For": plain_text(stage.get("for"), 80) or "the whole build",
                "Time": duration(stage.get("seconds")),
            }
            for stage in manifest.stages
            if isinstance(stage, dict)
        ]
        seconds = [chips.number(s.get("seconds")) or 0.0 for s in manifest.stages if isinstance(s, dict)]
        st.caption(f"{_count(len(rows), 'stage')}, {duration(sum(seconds))} together.")
        if rows:
            _plain_table(pd.DataFrame(rows), "Stages and their times", "Time")
    with right:
        st.caption("Packages, models and settings.")
        lines = flat({**manifest.provenance, "settings": manifest.config})
        if lines:
            _plain_table(pd.DataFrame(lines, columns=["What", "Value"]), "Packages, models and settings")


def flat(facts: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested facts as (path, value) lines of plain text."""
    if isinstance(facts, dict):
        start = f"{name} · " if name else ""
        return [line for key, value in facts.items() for line in flat(value, f"{start}{key}")]
    if isinstance(facts, list) and any(isinstance(value, dict | list) for value in facts):
        return [line for i, value in enumerate(facts, start=1) for line in flat(value, f"{name} {i}")]
    value = ", ".join(map(str, facts)) if isinstance(facts, list) else facts
    return [(plain_text(name, 120), plain_text(value, 300))]


def _verify_and_cite(manifest: Manifest) -> None:
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Check it", anchor=False)
        st.markdown(
            f"The build holds {len(manifest.files):,} files of schema {SCHEMA_VERSION}, each with its sha256 "
            "in `manifest.json`. This compares every byte with them and names any file that is damaged:"
        )
        st.code("make verify", language=None)
        _sizes(manifest)
    with right:
        st.subheader("Cite it", anchor=False)
        st.markdown("The methods, and this build:")
        entry = build_entry(manifest.build, plain_text(manifest.title, 120), manifest.created)
        st.code(f"{PAPERS}\n\n{entry}", language=None, wrap_lines=True)


def _sizes(manifest: Manifest) -> None:
    rows = pd.DataFrame(sizes(manifest), columns=["Part", "Files", "Size"])
    _plain_table(rows, "Sizes on disk", "Size")


def sizes(manifest: Manifest) -> list[tuple[str, int, str]]:
    """(part, number of files, size) for each corpus, each SAE and the query encoder, largest first."""
    found: dict[str, list[int]] = {}
    for path, entry in manifest.files.items():
        parts = path.split("/")
        corpus_name = parts[0]
        saes = manifest.corpora.get(corpus_name, {}).get("saes", {})
        if len(parts) > 2 and parts[1] in saes:
            name = f"{corpus_name} · {parts[1]}"
        elif corpus_name in manifest.corpora:
            name = f"{corpus_name} · documents and embeddings"
        else:
            name = corpus_name.replace("_", " ")
        found.setdefault(name, []).append(entry.size)
    ordered = sorted(found.items(), key=lambda item: -sum(item[1]))
    return [(plain_text(name, 120), len(files), megabytes(sum(files))) for name, files in ordered]


def _plain_table(table: pd.DataFrame, alt: str, amounts: str = "") -> None:
    """``amounts``: the column whose texts are numbers with a unit."""
    height = min(_TABLE_HEIGHT, 35 * (len(table) + 1) + 3)  # pixels: no empty rows, no endless table
    columns = {amounts: st.column_config.TextColumn(alignment="right")} if amounts else None
    st.dataframe(table, hide_index=True, height=height, alt=alt, column_config=columns)


view()
