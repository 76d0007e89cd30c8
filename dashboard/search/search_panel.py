"""The steering panel: fidelity, sliders, what moved along, and the ways to steer."""

from collections.abc import Collection, Mapping

import pandas as pd
import streamlit as st

from dashboard import state
from dashboard.chips import feature_name, feature_row, signed
from dashboard.search import search_choices, search_swap, sliders
from dashboard.search.search_add import add_box
from dashboard.search.search_query import Asked
from dashboard.search.search_save import save_box
from dashboard.text import html_text
from sae.steer import MODES
from sae.steering.directions import KINDS

SHOWN = 8  # active features with a slider before somebody asks for the rest
NARROW = 2  # on narrow screens, where they stand above the results; with edits, those that are edited
COLOURS = ("#2b8ea3", "#c07a2c", "#7a6bb0", "#5d9a4e", "#b5566b", "#4a78b5", "#a08a2b", "#8a6f5c")
OTHER = "#87919a"
GUESSING = 0.2  # one label of five
_EFFECTS = 4
_ALL_KEY = "all-sliders"
_KIND_NAMES = {"feature": "the concept alone", "family": "with its family", "typical": "typical document"}


def features_shown(asked: Asked) -> list[int]:
    """Features with a slider, in order: the query's own, then those that were added."""
    active = list(asked.latents)
    kept = active if st.session_state.get(_ALL_KEY) else active[:SHOWN]
    muted = search_choices.muted()
    found = [f for f in active if f in kept or f in asked.edits]
    return [f for f in [*found, *(f for f in asked.edits if f not in asked.latents)] if f not in muted]


def colours(asked: Asked) -> dict[int, str]:
    """The colour of each feature with a slider."""
    return {f: COLOURS[i % len(COLOURS)] for i, f in enumerate(features_shown(asked))}


def panel(table: pd.DataFrame, asked: Asked) -> None:
    """Everything at the right of the results."""
    shown = colours(asked)
    late = _late(asked, shown)
    _narrow(late, edited=bool(asked.edits) or asked.changed)
    with st.container(key="panel"):
        _heading(asked)
        entries = search_swap.menu_entries(asked)
        for feature_id, colour in shown.items():
            with st.container(key=f"slot-{feature_id}"):
                row, value = feature_row(table, feature_id), asked.edits.get(feature_id)
                own = asked.latents.get(feature_id, 0.0)
                sliders.slider_row(row, own, value, colour, entries(feature_id))
                search_swap.split_box(table, asked, feature_id)
        sliders.muted_line({f: feature_name(feature_row(table, f)) for f in search_choices.muted()})
        _more_or_fewer(asked, shown)
        search_swap.family_sliders(table, asked)
        add_box(table, list(shown))
    # What an edit brings is told below the sliders: nothing moves under the hand that moves one.
    with st.container(key="panel-more"):
        _recognised(asked)
        _side_effects(table, asked)
        _ways()
        save_box(table, asked)


def _narrow(late: Collection[int], edited: bool) -> None:
    """What a narrow screen leaves out, more once something is edited, so that results come sooner.

    As rules, not as names of containers: one of another name is drawn anew, and a slider in it loses the focus.
    """
    hidden = [f'[data-testid="stLayoutWrapper"]:has(>.st-key-slot-{f})' for f in late]
    if edited:
        hidden += [".st-key-examples", '[data-testid="stLayoutWrapper"]:has(>.st-key-how)']
    st.html(f"<style>@media (max-width:640px){{{','.join(hidden) or '.sx-none'}{{display:none}}}}</style>")


def _late(asked: Asked, shown: Collection[int]) -> set[int]:
    """Sliders that a narrow screen shows only when asked for."""
    if st.session_state.get(_ALL_KEY):
        return set()
    first = list(asked.edits) or list(shown)[:NARROW]
    return {f for f in shown if f not in first}


def _more_or_fewer(asked: Asked, shown: Collection[int]) -> None:
    """Buttons that show or fold the weaker concepts; narrow screens begin with fewer."""
    rest = max(0, len(asked.latents) - SHOWN)
    if st.session_state.get(_ALL_KEY):
        with st.container(key="all-fewer" if rest else "all-narrow"):
            st.button("Show fewer", key="show-fewer-sliders", type="tertiary", on_click=_toggle_all)
        return
    for screen, hidden in (("wide", rest), ("narrow", rest + len(_late(asked, shown)))):
        if hidden:
            with st.container(key=f"all-{screen}"):
                label = f"Show {hidden} more concept{'s' if hidden > 1 else ''} of your query"
                st.button(label, key=f"show-all-{screen}", type="tertiary", on_click=_toggle_all)


def _heading(asked: Asked) -> None:
    fidelity = asked.steered.fidelity
    with st.container(gap="xxsmall"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
            st.subheader("Concepts in your query", anchor="concepts", width="content")
            st.button(
                "Reset all",
                key="reset-all",
                type="tertiary",
                icon=":material/restart_alt:",
                disabled=not (state.edits() or any(family.amount for family in asked.families)),
                help="Give every concept back its own strength.",
                on_click=state.clear_edits,
            )
        with st.container(key="how"):
            st.markdown(
                "**Drag left for less of a concept**, right for more. :gray[Past *none* it is pushed away.]"
            )
        st.markdown(
            f"Fidelity **{signed(fidelity)}** :gray[· {_in_words(asked)}]",
            help="Cosine between your query and the steered one. At 1 nothing is changed; below .75 the results "
            "follow the sliders more than your words.",
            width="content",
        )
        with st.container(key="fidelity", gap="xxsmall"):
            st.progress(min(1.0, max(0.0, fidelity)))


def _in_words(asked: Asked) -> str:
    """What a fidelity means."""
    if asked.steered.fidelity >= 1 - 1e-9:
        return "nothing is changed"
    if not asked.changed:
        return "lost by the reconstruction alone"
    if asked.steered.fidelity >= 0.9:
        return "close to your query"
    if asked.steered.fidelity >= 0.75:
        return "clearly moved"
    return "far from your query"


def _toggle_all() -> None:
    st.session_state[_ALL_KEY] = not st.session_state.get(_ALL_KEY)


def _recognised(asked: Asked) -> None:
    share = asked.recognised()
    if share is not None:
        st.caption(
            f"At this fidelity a judge who read only the results recognised the edit in {share:.0%} of "
            f"trials (guessing: {GUESSING:.0%}).".replace("%", " %")
        )


def _side_effects(table: pd.DataFrame, asked: Asked) -> None:
    written = [
        (effect.feature_id, sliders.shown(effect.before), sliders.shown(effect.after))
        for effect in asked.side_effects(_EFFECTS)
    ]
    # 1.9 → 1.9 would say that nothing moved.
    if moved := [one for one in written if one[1] != one[2]]:
        told = "".join(
            f"<li><span>{html_text(feature_name(feature_row(table, feature_id)), 60)}</span>"
            f"<span>{before} → {after}</span></li>"
            for feature_id, before, after in moved
        )
        st.html(
            '<div class="sx-moved"><span title="Concepts of the steered query, encoded again, that no slider of yours '
            f'has set">Moved along, touched by no slider of yours:</span><ul>{told}</ul></div>'
        )


def _ways() -> None:
    with st.expander(
        f"How sliders act: {state.mode()}, {_KIND_NAMES[search_choices.direction()]}", key="ways"
    ):
        _way("mode-box", "A slider changes", state.mode(), MODES, {})
        _way("direction-box", "More of a concept means", search_choices.direction(), KINDS, _KIND_NAMES)
        st.caption(
            "The first of each list served best on arXiv abstracts: for the same number of other concepts moved "
            "along, its edits were recognised most often. The Evaluation page has the figures for this corpus."
        )


def _way(key: str, what: str, chosen: str, options: Mapping[str, str], names: Mapping[str, str]) -> None:
    if st.session_state.get(key) != chosen:
        st.session_state[key] = chosen
    st.radio(
        what,
        list(options),
        key=key,
        format_func=lambda name: names.get(name, name),
        captions=list(options.values()),
        on_change=_way_chosen,
        args=(key,),
    )


def _way_chosen(key: str) -> None:
    (state.set_mode if key == "mode-box" else search_choices.set_direction)(st.session_state[key])
