"""Style rules of the search page: parts of a score, the scale under a slider, sliders first on narrow screens."""

import streamlit as st

_RULES = """<style>
.sx-dot{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.35rem}
.sx-why{font-size:.8rem;margin-top:.15rem}
.sx-why summary{cursor:pointer;list-style:none;display:flex;align-items:center;gap:.6rem;min-width:0}
.sx-why summary::-webkit-details-marker{display:none}
.sx-why summary:focus-visible{outline:2px solid var(--sx-accent);outline-offset:2px}
.sx-parts{display:flex;flex:0 0 9rem;max-width:40%;height:.5rem;gap:1px}
.sx-parts i{display:block;height:100%;background:var(--c);min-width:1px}
.sx-parts i.sx-unsaid{background:repeating-linear-gradient(135deg,var(--sx-line) 0 2px,transparent 2px 4px)}
.sx-parts i.sx-below{background:none;box-shadow:inset 0 0 0 1.5px var(--c)}
.sx-parts i.sx-unsaid.sx-below{box-shadow:inset 0 0 0 1px var(--sx-line)}
.sx-told{opacity:.7;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;font-variant-numeric:tabular-nums}
.sx-why table{margin:.3rem 0 .5rem;border-collapse:collapse;font-variant-numeric:tabular-nums}
.sx-why td{padding:.05rem .8rem .05rem 0;border:0}
.sx-why td:last-child{text-align:right;white-space:nowrap}
[class*="st-key-row-"] [data-testid="stSlider"]{padding-top:.6rem}
[class*="st-key-row-"] [data-testid="stSliderTickBar"]{display:none}
[class*="st-key-family-row-"] [data-testid="stSliderTickBar"]{display:none}
.sx-scale{position:relative;font-size:.7rem;height:1.1rem;margin:-.4rem .35rem .3rem}
.sx-scale>span:first-child,.sx-scale>span:last-child{position:absolute;left:-.35rem;top:.35rem;opacity:.6}
.sx-scale>span:last-child{left:auto;right:-.35rem}
.sx-range{position:absolute;inset:0;height:.55rem}
.sx-range i{position:absolute;top:0;width:1px;height:100%;background:currentColor;opacity:.55}
.sx-range i.sx-own{width:.4rem;height:.4rem;top:.08rem;margin-left:-.2rem;border-radius:50%;background:var(--sx-accent);
 opacity:1}
.sx-range b{position:absolute;top:.15rem;height:.25rem;border-radius:.2rem;background:var(--sx-accent);opacity:.4}
.sx-range i.sx-half{top:.1rem;height:.35rem;opacity:.4}
.sx-range em{position:absolute;top:.35rem;transform:translateX(-50%);font-style:normal;opacity:.6}
.sx-moved{font-size:.875rem;line-height:1.5}
.sx-moved>span:first-child{opacity:.7}
.sx-moved ul{font-size:inherit;list-style:none;margin:.1rem 0 0;padding:0}
.sx-moved li{display:flex;gap:1rem;justify-content:space-between;margin:0;padding:.05rem 0;font-size:inherit}
.sx-moved li span:last-child{white-space:nowrap;font-variant-numeric:tabular-nums;opacity:.8}
[class*="st-key-like-buttons-"]{gap:0!important}
[class*="st-key-like-buttons-"]::before{content:"like this:"/"";font-size:.75rem;line-height:1.5;padding:0 .2rem;
 opacity:.6;white-space:nowrap}
[class*="st-key-like-buttons-"] button,[class*="st-key-match-way-"] button{
 min-height:1.6rem;padding:0 .2rem;opacity:.75}
[class*="st-key-like-buttons-"] button p,[class*="st-key-match-way-"] button p{font-size:.8rem}
[class*="st-key-like-buttons-"] .stMarkdownColoredText{position:absolute;width:1px;height:1px;overflow:hidden;
 clip-path:inset(50%);white-space:nowrap}
[class*="st-key-like-buttons-"] button:is(:hover,:focus-visible),
[class*="st-key-match-way-"] button:is(:hover,:focus-visible){opacity:1}
.st-key-add-feature input{text-overflow:ellipsis}
.sx-list,.sx-gone ul{padding-left:1.4rem;font-size:.875rem;line-height:1.45;overflow-wrap:anywhere}
.sx-list li,.sx-gone li{margin-bottom:.35rem;padding:0}
.sx-list a{color:inherit;text-decoration:none}
.sx-list a:hover{text-decoration:underline}
.sx-list em,.sx-gone em{font-size:.75rem;opacity:.65}
.sx-gone{font-size:.875rem}
.sx-gone summary{cursor:pointer;opacity:.75}
.sx-gone summary:focus-visible{outline:2px solid var(--sx-accent);outline-offset:2px}
.sx-jump{font-size:.8rem;color:var(--sx-accent)}
.sx-jump:focus-visible{outline:2px solid var(--sx-accent);outline-offset:2px}
.sx-card{transition:box-shadow .1s}
.st-key-all-narrow{display:none}
/* Beside the results the concepts are seen, but come after all of them under the Tab key: the way there is for it. */
@media (min-width:641px){
 .sx-jump:not(:focus){position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
}
@media (max-width:640px){
 .st-key-search-columns>*>[data-testid="stHorizontalBlock"]{flex-direction:column;gap:.5rem}
 .st-key-search-columns>*>*>[data-testid="stColumn"]:last-child,
 .st-key-search-columns>*>*>[data-testid="stColumn"]:last-child>*,
 .st-key-search-columns>*>*>[data-testid="stColumn"]:last-child>*>*{display:contents}
 .st-key-panel{order:-1}
 .st-key-panel-more{order:1}
 .st-key-all-wide{display:none}
 .st-key-all-narrow{display:flex}
 .st-key-examples button:nth-of-type(n+2),
 [data-testid="stLayoutWrapper"]:has(>.st-key-fidelity){display:none}
 .st-key-heading-of-results{row-gap:.1rem}
 .st-key-compare:not(:has(input:checked)){display:none}
 [class*="st-key-row-"] [data-testid="stPageLink-NavLink"] p>span:not(.stMarkdownBadge){display:none}
 [class*="st-key-match-way-"] span:has(>[data-testid="stIconMaterial"]){display:none}
 [class*="st-key-result-"]{flex-direction:column;align-items:stretch;gap:0!important}
 [class*="st-key-result-"]>*{flex:0 0 auto;width:100%;min-width:0}
 [class*="st-key-like-buttons-"]{flex-direction:row!important;align-items:center;gap:.3rem!important;
  padding-left:2.85rem;width:100%!important}
 [class*="st-key-like-buttons-"]::before{padding-left:0}
}
</style>"""


def style() -> None:
    """The rules; call once a run."""
    st.html(_RULES)
