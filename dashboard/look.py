"""The few style rules that Streamlit has no option for: document cards, feature chips, rows of facts."""

import streamlit as st

from dashboard.charts import ACCENT

_RULES = """<style>
:root{--sx-accent:SX_ACCENT;--sx-line:color-mix(in srgb,currentColor 18%,transparent)}
.sx-card{display:flex;gap:.75rem;line-height:1.4;overflow-wrap:anywhere}
.sx-rank{flex:0 0 2.1rem;text-align:right;font-variant-numeric:tabular-nums;opacity:.65}
.sx-mark{display:block;font-size:.75rem;white-space:nowrap}
.sx-main{flex:1 1 auto;min-width:0}
.sx-title{font-weight:600;text-decoration:none;color:inherit}
a.sx-title:hover,a.sx-title:focus-visible{text-decoration:underline;text-underline-offset:.2em}
.sx-meta{font-size:.8rem;opacity:.7;font-variant-numeric:tabular-nums;margin-top:.1rem}
.sx-bar{display:inline-block;width:7rem;max-width:30%;height:.45rem;margin-right:.5rem;border-radius:.25rem;
 background:color-mix(in srgb,currentColor 12%,transparent);
 vertical-align:.05rem;overflow:hidden}
.sx-bar>span{display:block;height:100%;border-radius:.25rem;background:var(--sx-accent)}
.sx-text{font-size:.875rem;line-height:1.5;overflow-wrap:anywhere}
.sx-text.sx-ranked{padding-left:2.85rem}
.sx-text summary{cursor:pointer;list-style:none;border-radius:.25rem}
.sx-text summary::-webkit-details-marker{display:none}
.sx-text summary:focus-visible{outline:2px solid var(--sx-accent);outline-offset:2px}
.sx-clip{display:-webkit-box;-webkit-box-orient:vertical;-webkit-line-clamp:2;overflow:hidden;opacity:.8}
.sx-text[open] .sx-clip{display:none}
.sx-less{display:none;opacity:.65;font-size:.8rem}
.sx-text[open] .sx-less{display:inline}
.sx-text p{margin:.15rem 0 .4rem;font-size:inherit}
[class*="st-key-chip-"]{border:1px solid color-mix(in srgb,currentColor 18%,transparent);border-radius:1rem;
 width:fit-content!important;max-width:100%;padding:0 .35rem 0 .6rem;min-height:2rem;align-items:center}
[class*="st-key-chip-weak-"]{border-style:dashed}
[class*="st-key-chip-"]:hover{border-color:var(--sx-accent)}
[class*="st-key-chip-"] [data-testid="stPageLink-NavLink"]{background:none;padding:.1rem 0;min-height:0}
[class*="st-key-chip-"] [data-testid="stPageLink-NavLink"] p{font-weight:400;white-space:normal;
 overflow:visible}
[class*="st-key-chip-"] [data-testid="stPageLink-NavLink"]:hover p{text-decoration:underline;
 text-decoration-color:var(--sx-accent);text-underline-offset:.25em}
[class*="st-key-chip-"] button{min-height:1.75rem;min-width:1.5rem;padding:0 .15rem}
[class*="st-key-chip-"]>:first-child{flex:0 1 auto!important;min-width:0!important;max-width:none}
[class*="st-key-chip-"]>:last-child:not(:first-child){flex:0 0 auto!important}
.st-key-feature-actions [data-testid="stPageLink-NavLink"]{background:none}
.st-key-feature-actions [data-testid="stPageLink-NavLink"] p{font-weight:400}
.st-key-feature-facts [data-testid="stMetricValue"]{font-size:1.1rem;font-weight:600}
.st-key-feature-facts{row-gap:.5rem}
.st-key-families-overview{min-height:31rem}
</style>"""


def style() -> None:
    """The style sheet; call once a page, before the first card or chip."""
    st.html(_RULES.replace("SX_ACCENT", ACCENT))
