"""Sliders for families, and a feature swapped for the narrower ones that it splits into in a larger model."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, state, structure_data
from dashboard.chips import feature_chip, feature_name, feature_row, number
from dashboard.search import search_choices, sliders
from dashboard.search.search_query import Asked, family_members
from dashboard.text import plain_text, safe_text
from sae.steering.slider import SliderScale, slider_scale

OPEN = "split-open"
_CHILDREN = 8  # narrower features offered at most
_NEAR = 0.3  # cosine from which the nearest feature of another model stands for a feature


def menu_entries(asked: Asked) -> Callable[[int], list[str]]:
    """Which entries of its menu make sense for a feature."""
    families = structure_data.families(asked.corpus_name, asked.sae_name)
    members = structure_data.members(asked.corpus_name, asked.sae_name) if families is not None else None
    in_family = set(members["feature_id"]) if members is not None else set()
    splits = larger(asked.corpus_name, asked.sae_name) is not None

    def entries(feature_id: int) -> list[str]:
        found = [sliders.FAMILY] if feature_id in in_family else []
        if splits:
            found.append(sliders.SPLIT)
        return [*found, sliders.ONLY, sliders.MUTE]

    return entries


def add_family_of(feature_id: int) -> None:
    """Give the family that a feature heads a slider, or the smallest family that holds it."""
    table = structure_data.members(*state.selected())
    own = table[table["feature_id"] == feature_id]
    heads = own[own["depth"] == 0]
    ids = (heads if len(heads) else own)["family_id"]
    if len(ids):
        search_choices.add_family(int(ids.max()))  # families are numbered from large to small


def family_sliders(table: pd.DataFrame, asked: Asked) -> None:
    """A slider for each family that has one, with its features to switch on and off."""
    families = structure_data.families(asked.corpus_name, asked.sae_name)
    for family_id, move in list(search_choices.families().items()):
        if families is None or family_id not in families.index:
            search_choices.remove_family(family_id)
            continue
        members = family_members(asked.corpus_name, asked.sae_name, family_id)
        parent = feature_row(table, int(members.index[0]))
        name = plain_text(families.loc[family_id, "label"], 120) or feature_name(parent)
        slider = f"family-{'-'.join(state.selected())}-{family_id}"
        scale = sliders.with_stop_at(move.amount, slider, partial(family_scale, parent))
        key = f"{slider}-{hash(scale)}"
        at = scale.nearest(move.amount)
        if st.session_state.get(key) != at:
            st.session_state[key] = at
        with st.container(gap=None, key=f"family-row-{family_id}"):
            with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="small"):
                st.markdown(f"**{safe_text(name, 80)}** :gray[family of {len(members)}]")
                st.button(
                    ":material/close:",
                    key=f"drop-family-{family_id}",
                    type="tertiary",
                    help="Take this family's slider away",
                    on_click=search_choices.remove_family,
                    args=(family_id,),
                )
            st.select_slider(
                safe_text(name, 120),  # drawn as Markdown even where it is collapsed
                scale.stops,
                key=key,
                format_func=sliders.stop_name,
                label_visibility="collapsed",
                on_change=_family_moved,
                args=(family_id, key),
            )
            st.html(sliders.scale_html(scale, None))
            _children(table, family_id, members, move)


def family_scale(parent: pd.Series, also: list[float]) -> SliderScale:
    """The scale of a family's slider: changes of its strongest feature."""
    quantiles = parent["quantiles"]
    strong = number(quantiles[-1]) if quantiles is not None and len(quantiles) else None
    return slider_scale(0.0, strong or number(parent["max_activation"]) or 1.0, also)


def _children(
    table: pd.DataFrame, family_id: int, members: pd.Series, move: search_choices.FamilyMove
) -> None:
    ids = [int(f) for f in members.index.to_numpy()]
    key = f"children-{'-'.join(state.selected())}-{family_id}"
    kept = [f for f in ids if f not in move.left_out]
    if st.session_state.get(key) != kept:
        st.session_state[key] = kept
    largest = float(members.max()) or 1.0
    names = {f: f"{feature_name(feature_row(table, f))} ×{members[f] / largest:.2f}" for f in ids}
    with st.expander(f"Moves {len(kept)} of {len(ids)} concepts, each by its share", key=f"open-{key}"):
        st.pills(
            "Concepts that move",
            ids,
            selection_mode="multi",
            key=key,
            format_func=lambda f: safe_text(names[f], 64),
            label_visibility="collapsed",
            on_change=_children_chosen,
            args=(family_id, key, ids),
        )


def _family_moved(family_id: int, key: str) -> None:
    search_choices.add_family(family_id, float(st.session_state[key]))


def _children_chosen(family_id: int, key: str, ids: list[int]) -> None:
    kept = set(st.session_state[key] or ())
    if family_id in search_choices.families():
        search_choices.families()[family_id].left_out = {f for f in ids if f not in kept}


def larger(corpus_name: str, sae_name: str) -> str | None:
    """The next larger SAE of a corpus that the build compared with this one, if any."""
    if structure_data.splitting(corpus_name) is None:
        return None
    saes = data.corpus(corpus_name).saes
    sizes = {name: data.sae(corpus_name, name).n_latents for name in saes}
    above = [name for name in saes if sizes[name] > sizes[sae_name]]
    return min(above, key=sizes.__getitem__) if above else None


def split_children(corpus_name: str, sae_name: str, feature_id: int) -> pd.DataFrame:
    """Features of the next larger SAE whose nearest feature here is ``feature_id``, nearest first: columns
    feature_id, cosine."""
    found, other = structure_data.splitting(corpus_name), larger(corpus_name, sae_name)
    if found is None or other is None:
        return pd.DataFrame({"feature_id": [], "cosine": []})
    table = found[0]
    own = table[(table["sae"] == other) & (table["other"] == sae_name) & (table["nearest"] == feature_id)]
    return own.sort_values("cosine", ascending=False)[["feature_id", "cosine"]].head(_CHILDREN)


def split_box(table: pd.DataFrame, asked: Asked, feature_id: int) -> None:
    """The narrower features of the larger model, and the button that goes on with them."""
    if st.session_state.get(OPEN) != feature_id:
        return
    other = larger(asked.corpus_name, asked.sae_name)
    children = split_children(asked.corpus_name, asked.sae_name, feature_id)
    with st.container(border=True, gap="xsmall"):
        name = safe_text(feature_name(feature_row(table, feature_id)), 60)
        if other is None or children.empty:
            st.caption(f"The larger model has nothing narrower than {name}.")
        else:
            st.caption(f"In {safe_text(other, 40)}, {name} is {'these' if len(children) > 1 else 'this'}:")
            there = data.feature_table(asked.corpus_name, other)
            for child in children["feature_id"]:
                feature_chip(
                    feature_row(there, int(child)),
                    key=f"child-{child}",
                    corpus_and_sae=(asked.corpus_name, other),
                )
            st.button(
                f"Go on in {safe_text(other, 40)} with these",
                key="swap",
                help="Switches the model. What you have set is carried over: this concept to its narrower ones, the "
                "others to their nearest.",
                on_click=swap,
                args=(feature_id,),
            )
        st.button("Close", key="split-close", type="tertiary", on_click=_close)


def _close() -> None:
    st.session_state.pop(OPEN, None)


def swap(feature_id: int) -> None:
    """Go on in the next larger SAE: the feature's change goes to its split children by their cosines, that of every
    other edited feature to its nearest."""
    corpus_name, sae_name = state.selected()
    other = larger(corpus_name, sae_name)
    splitting = structure_data.splitting(corpus_name)
    _close()
    if other is None or splitting is None:
        return
    vector = st.session_state.get("asked-vector")
    before, after = (_activations(corpus_name, name, vector) for name in (sae_name, other))
    children = split_children(corpus_name, sae_name, feature_id)
    table = splitting[0]
    nearest = table[(table["sae"] == sae_name) & (table["other"] == other)].set_index("feature_id")
    edits = state.edits()
    changes = {f: value - before.get(f, 0.0) for f, value in edits.items()}
    found: dict[int, float] = {}
    for own, change in changes.items():
        if own == feature_id:
            heirs = {
                int(f): float(c) for f, c in zip(children["feature_id"], children["cosine"], strict=True)
            }
        else:
            near = nearest.loc[[own]].iloc[0]
            heirs = {int(near["nearest"]): float(near["cosine"])} if near["cosine"] > _NEAR else {}
        for heir, share in heirs.items():
            found[heir] = found.get(heir, after.get(heir, 0.0)) + change * share
    for child in children["feature_id"] if feature_id not in changes else ():
        found.setdefault(int(child), after.get(int(child), 0.0))  # a slider to push, not pushed yet
    state.select(corpus_name, other)
    for heir, value in found.items():
        state.add_edit(heir, value)


def _activations(corpus_name: str, sae_name: str, vector: np.ndarray | None) -> dict[int, float]:
    if vector is None:
        return {}
    acts, indices = data.latents(corpus_name, sae_name, vector)
    return {int(f): float(a) for f, a in zip(indices, acts, strict=True)}
