"""What can be done with a family: steer the search with it, take its tree away."""

import pandas as pd
import streamlit as st

from dashboard import chips, data
from dashboard.families.family_files import family_graphml, family_json
from dashboard.families.family_node import Node
from dashboard.families.family_svg import family_svg
from dashboard.search import search_choices
from dashboard.tables import download


def family_actions(
    corpus_name: str, sae_name: str, family: pd.Series, tree: pd.DataFrame, name: str, drawn: list[Node]
) -> None:
    """Buttons below the graph: steer with the family, or save its tree, or the drawing of ``drawn``."""
    stem = f"{corpus_name}-{sae_name}-family-{int(family['family_id'])}"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if st.button(
            "Steer with this family",
            icon=":material/tune:",
            type="primary",
            help="Raise the parent and its children in the search with one slider, in proportion to their mean "
            "activations.",
        ):
            steer_with(corpus_name, sae_name, int(family["family_id"]), tree)
        records = tree.astype(object).where(tree.notna(), None).to_dict("records")
        rows = [{str(name): value for name, value in record.items()} for record in records]
        facts = {
            "corpus": corpus_name,
            "sae": sae_name,
            "family_id": int(family["family_id"]),
            "label": name,
            "pearson": chips.number(family["pearson_random"]),
            "f1": chips.number(family["f1_random"]),
        }
        for row in rows:
            row["pearson"], row["f1"] = row["pearson_random"], row["f1_random"]
        for kind, mime, content in (
            ("JSON", "application/json", lambda: family_json(facts, rows)),
            ("GraphML", "application/xml", lambda: family_graphml(rows)),
            ("SVG", "image/svg+xml", lambda: family_svg(drawn)),
        ):
            icon, told = ":material/download:", "Save this family."
            download(kind, content, f"{stem}.{kind.lower()}", mime, f"family-{kind}", icon=icon, help=told)


def steer_with(corpus_name: str, sae_name: str, family_id: int, tree: pd.DataFrame) -> None:
    """Give the session's search a slider for the family, somewhat raised, and go there.

    The more features move together, the less each may, for the query to stay as near to the original.
    """
    parent = chips.feature_row(data.feature_table(corpus_name, sae_name), int(tree["feature_id"].iloc[0]))
    search_choices.add_family(family_id, chips.steering_value(parent) / len(tree) ** 0.5)
    st.switch_page(chips.SEARCH_PAGE)
