"""Tables drawn as charts: pure functions from a table to an Altair chart, in one theme for light and dark.

Backgrounds are transparent and text takes the page's colour (Streamlit's own chart theme), so that one chart fits
both. Data travels inside the chart; nothing is fetched.
"""

from collections.abc import Sequence
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import streamlit as st

DEFAULT_ACCENT = "#2f7f95"
POSITIVE, NEGATIVE, MUTED = "#2f7f95", "#b0762e", "#8a8f98"

# Saving a chart as a picture is done in the browser; the menu's other entries lead to a foreign address.
EMBED_OPTIONS = {"actions": {"export": {"png": True, "svg": True}, "source": False, "compiled": False, "editor": False}}


def accent() -> str:
    """The theme's accent colour."""
    return str(st.get_option("theme.primaryColor") or DEFAULT_ACCENT)


def themed(chart: Any, height: int) -> Any:
    """The shared look: transparent, quiet axes, fitted to the page's width, saved as PNG or SVG only."""
    return (
        chart.properties(
            height=height, background="transparent", usermeta={"embedOptions": EMBED_OPTIONS},
            autosize=alt.AutoSizeParams(type="fit", contains="padding"),
        )
        .configure_view(strokeOpacity=0)
        .configure_axis(grid=False, titleFontWeight="normal", labelOverlap=True, tickSize=4)
        .configure_axisY(grid=True, gridOpacity=0.4, titleAnchor="middle")
        .configure_legend(orient="top", title=None, offset=4)
    )
