"""One slider a feature: less at the left of zero, more at the right, its natural range marked."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

from dashboard import state
from dashboard.chips import feature_chip, feature_name, number, percent, signed
from dashboard.search import search_choices, search_swap
from dashboard.text import html_text, safe_text
from sae.schema import QUANTILES
from sae.steering.slider import SliderScale, as_stop, slider_scale

COMMON = 0.2  # a feature active in a larger share of the documents says little about any of them
MUTE, SPLIT, FAMILY, ONLY = "mute", "split", "family", "only"
_OWN_STOPS = "slider-stops"
_MENU = {
    FAMILY: "Move its family with it",
    SPLIT: "Swap for its narrower concepts",
    ONLY: "List only documents that have it",
    MUTE: "Mute it in all my queries",
}


def with_stop_at(
    value: float | None, slider: str, scale: Callable[[list[float]], SliderScale]
) -> SliderScale:
    """``scale([])``, or the scale with a stop more where ``value``, from a link or a preset, lies between its stops.

    ``slider`` keeps that stop for the session: with other stops it would be another slider, and the hand that just
    moves it would lose it.
    """
    kept: dict[str, float] = st.session_state.setdefault(_OWN_STOPS, {})
    found = scale([kept[slider]] if slider in kept else [])
    if value is None or as_stop(value) in found.stops:
        return found
    kept[slider] = value
    return scale([value])


def feature_scale(row: pd.Series, original: float, also: list[float]) -> SliderScale:
    """The scale of a feature's slider."""
    quantiles = row["quantiles"]
    strong = number(quantiles[-1]) if quantiles is not None and len(quantiles) else None
    strong = strong or number(row["max_activation"]) or max(original, 1.0)
    return slider_scale(original, strong, also)


def slider_row(row: pd.Series, original: float, value: float | None, colour: str, menu: list[str]) -> None:
    """Chip, value, reset, menu and slider of one feature.

    original: its activation in the query; value: what it is set to, or None; colour: of its parts in the
    results; menu: the entries of the menu that make sense for it.
    """
    feature_id = int(row["feature_id"])
    slider = f"slider-{'-'.join(state.selected())}-{feature_id}"
    edit = None if value == original else value
    scale = with_stop_at(edit, slider, lambda also: feature_scale(row, original, also))
    at = scale.original if edit is None else scale.nearest(edit)
    key = f"{slider}-{hash(scale)}"
    name = feature_name(row)
    with st.container(gap=None, key=f"row-{feature_id}"):
        with st.container(horizontal=True, vertical_alignment="center", wrap=False, gap="xsmall"):
            st.html(f'<span class="sx-dot" style="background:{colour}"></span>', width="content")
            with st.container():
                feature_chip(row, key=f"active-{feature_id}", steer=False)
            if value is not None and value != original:
                st.markdown(f":gray[{shown(original)} →] **{shown(value)}**", width="content")
            st.button(
                ":material/restart_alt:",
                key=f"reset-{feature_id}",
                type="tertiary",
                disabled=value is None,
                help=f"Back to {shown(original)}" if original else "Take this concept away again",
                on_click=_reset,
                args=(feature_id, slider),
            )
            st.menu_button(
                ":material/more_vert:",
                menu,
                key=f"menu-{feature_id}",
                format_func=_MENU.__getitem__,
                type="tertiary",
                on_click=_chosen,
                args=(feature_id,),
            )
        # The session's edits are the truth; the widget is told only what it does not know, so that a hand
        # that is dragging is never pulled back.
        if st.session_state.get(key) != at:
            st.session_state[key] = at
        st.select_slider(
            safe_text(name, 120),  # drawn as Markdown even where it is collapsed
            scale.stops,
            key=key,
            format_func=stop_name,
            label_visibility="collapsed",
            on_change=_moved,
            args=(feature_id, key, original, scale),
        )
        st.html(scale_html(scale, row["quantiles"]))
        if (number(row["density"]) or 0) > COMMON and MUTE in menu:
            st.button(
                f"Active in {percent(row['density'])} of all documents, so it says little: mute it",
                key=f"mute-{feature_id}",
                type="tertiary",
                on_click=search_choices.set_muted,
                args=(feature_id, True),
            )


def scale_html(scale: SliderScale, quantiles: object) -> str:
    """What lies under a slider: less and more, zero, the query's own activation and the natural range."""
    found = [float(q) for q in quantiles] if quantiles is not None else []  # type: ignore[attr-defined]
    zero = f"left:{100 * scale.place(0):.1f}%"
    marks = [f'<i class="sx-zero" style="{zero}"></i><em style="{zero}">none</em>']
    if scale.original:
        marks.append(
            f'<i class="sx-own" style="left:{100 * scale.place(scale.original):.1f}%" title="in your query"></i>'
        )
    if len(found) == len(QUANTILES):
        low, middle, high = (found[QUANTILES.index(q)] for q in (0.05, 0.5, 0.95))
        left, right = 100 * scale.place(low), 100 * scale.place(high)
        told = f"{shown(low)} to {shown(high)} in nine of ten documents that have it, {shown(middle)} in the middle"
        marks.append(
            f'<b style="left:{left:.1f}%;width:{right - left:.1f}%" title="{html_text(told)}"></b>'
            f'<i class="sx-half" style="left:{100 * scale.place(middle):.1f}%"></i>'
        )
    strip = f'<span class="sx-range">{"".join(marks)}</span>'
    return f'<div class="sx-scale"><span>less</span>{strip}<span>more</span></div>'


def stop_name(value: float) -> str:
    """A stop of a slider; no two are written alike."""
    return f"{value:.6g}".replace("-", "−")


def shown(value: float) -> str:
    """An activation with sensible digits."""
    size = abs(value)
    return signed(value, 2 if size < 1 else 1) if value else "0"


def _moved(feature_id: int, key: str, original: float, scale: SliderScale) -> None:
    value = float(st.session_state[key])
    if value == scale.original:
        value = original  # exactly, so that the ranking is again that of the plain query
    if value == original and original > 0:
        state.remove_edit(feature_id)
    else:
        state.add_edit(feature_id, value)


def _reset(feature_id: int, slider: str) -> None:
    state.remove_edit(feature_id)
    st.session_state.get(_OWN_STOPS, {}).pop(slider, None)


def _chosen(feature_id: int) -> None:
    chosen = st.session_state.get(f"menu-{feature_id}")
    if chosen == MUTE:
        search_choices.set_muted(feature_id, True)
        state.remove_edit(feature_id)
    elif chosen == ONLY:
        search_choices.only_with(feature_id)
    elif chosen == FAMILY:
        search_swap.add_family_of(feature_id)
    elif chosen == SPLIT:
        st.session_state[search_swap.OPEN] = feature_id


def muted_line(names: dict[int, str]) -> None:
    """Features that are muted, each with a button that lets it speak again."""
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        st.caption("Muted:", width="content")
        for feature_id, name in names.items():
            st.button(
                safe_text(name, 40),
                key=f"hear-{feature_id}",
                type="tertiary",
                icon=":material/volume_off:",
                help="Let it speak again",
                on_click=search_choices.set_muted,
                args=(feature_id, False),
            )
