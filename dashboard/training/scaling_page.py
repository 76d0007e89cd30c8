"""Both scaling laws of a corpus: plots with fits, the papers' laws beside them, and the numbers as a table."""

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import chips, data, page_script, papers
from dashboard.tables import download_table, with_minus
from dashboard.training import training_charts, training_data
from dashboard.training.training_charts import PAPERS

_MEASURES = {"Held out": ("held_out_fvu", "held_out_frontier"), "Training": ("fvu", "frontier")}
_FORMULAS = {"latents": "L(n)", "compute": "L(C)"}


def scaling_page(corpus_name: str, theirs: str) -> None:
    """The section of the Training page; says how to get a grid where the build has none."""
    st.subheader("Scaling laws", anchor=False)
    found = training_data.scaling(corpus_name)
    if found is None:
        st.info(
            "This build trained no grid of models, so it has no scaling laws. Run "
            "`make artifacts PROFILE=scaling`, or add a [grid] table to the profile.",
            icon=":material/info:",
        )
        return
    runs, curves, fits = found
    chosen = st.segmented_control(
        "Error on documents", list(_MEASURES), default="Held out", required=True, key="training-documents",
        help="Held out: never trained on. The papers do not say which of the two they report.",
    )  # fmt: skip
    measure, on_frontier = _MEASURES[str(chosen)]
    fits = fits[fits["measure"] == measure]
    d_in = data.corpus(corpus_name).d_in
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(r"Error against features: $L(n) = c\,n^{-\alpha}$")
        points = _of_latents(runs, measure, d_in)
        lines = fit_lines(fits[fits["law"] == "latents"], points)
        page_script.saved_chart(
            training_charts.power_laws(
                pd.concat([points, their_points(theirs)]),
                pd.concat([lines, their_lines("latents", theirs)]),
                "features n",
            ),
            "Normalised MSE against the number of features, with fitted power laws and the papers'",
            f"{corpus_name}-scaling-latents",
        )
        st.caption(fit_sentence(fits[fits["law"] == "latents"], d_in))
    with right:
        st.markdown(r"Error against compute: $L(C) = a\,C^{\,b}$")
        every = _of_compute(curves, measure, d_in)
        best = every[curves[on_frontier].to_numpy()]
        lines = fit_lines(fits[fits["law"] == "compute"], best)
        page_script.saved_chart(
            training_charts.power_laws(
                best, pd.concat([lines, their_lines("compute", theirs)]), "training FLOPs C", every
            ),
            "Normalised MSE against compute, with the compute-optimal frontier, its fits and the papers'",
            f"{corpus_name}-scaling-compute",
        )
        st.caption(fit_sentence(fits[fits["law"] == "compute"], d_in))
    st.caption(_told(runs))
    st.markdown(
        ":small[:orange[Dashed: the papers' laws, where they trained; they do not say how they count C.]]"
    )
    download_table(runs, f"{corpus_name}-scaling-runs", key="scaling-runs-csv")
    _fit_table(corpus_name, fits, theirs, d_in, measure)


def _told(runs: pd.DataFrame) -> str:
    steps = " or ".join(f"{n:,}" for n in sorted(runs["steps"].unique()))
    return (
        f"{len(runs)} models trained for {steps} steps at a constant rate, only for these plots. L(n): where runs "
        "ended. L(C): faint curves are runs, dots the least error that any run of the same k reached with "
        "as little compute; the law is fitted to them. Six FLOPs a weight and document, as if every product were "
        "dense."
    )


def _name(k: int, d_in: int) -> str:
    return f"k {k} ({k / d_in:.0%})"


def _of_latents(runs: pd.DataFrame, measure: str, d_in: int) -> pd.DataFrame:
    series = [_name(k, d_in) for k in runs["k"]]
    told = [f"{name}, n {n:,}, {steps:,} steps" for name, n, steps in
            zip(series, runs["n_latents"], runs["steps"], strict=True)]  # fmt: skip
    return pd.DataFrame(
        {"series": series, "k": runs["k"], "x": runs["n_latents"], "loss": runs[measure], "told": told}
    )


def _of_compute(curves: pd.DataFrame, measure: str, d_in: int) -> pd.DataFrame:
    series = [_name(k, d_in) for k in curves["k"]]
    told = [f"{name}, n {n:,}, step {step:,}" for name, n, step in
            zip(series, curves["n_latents"], curves["step"], strict=True)]  # fmt: skip
    return pd.DataFrame(
        {
            "series": series,
            "k": curves["k"].to_numpy(),
            "run": [f"{name} {n}" for name, n in zip(series, curves["n_latents"], strict=True)],
            "x": curves["flops"].to_numpy(),
            "loss": curves[measure].to_numpy(),
            "told": told,
        }
    )


def fit_lines(fits: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """Two ends of each fitted law over the range of its points (columns of training_charts.power_laws)."""
    parts = []
    for fit in fits.to_dict("records"):
        own = points[points["k"] == fit["k"]]
        x = np.array([own["x"].min(), own["x"].max()], dtype=np.float64)
        name = str(own["series"].iloc[0])
        told = f"{name}: {_law_text(fit['law'], fit['coefficient'], fit['exponent'])}, R² {_digits(fit['r_squared'])}"
        loss = fit["coefficient"] * x ** fit["exponent"]
        parts.append(pd.DataFrame({"series": name, "law": name, "x": x, "loss": loss, "told": told}))
    return pd.concat(parts) if parts else _no_lines()


def _no_lines() -> pd.DataFrame:
    return pd.DataFrame({name: pd.Series(dtype=object) for name in ("series", "law", "x", "loss", "told")})


def their_lines(law: str, corpus: str) -> pd.DataFrame:
    """The papers' laws over the range in which they trained."""
    parts = []
    for one in papers.LATENT_LAWS[corpus] if law == "latents" else papers.COMPUTE_LAWS:
        ends = [one.x_low, one.x_high]
        told = f"papers, k {one.k}: {_law_text(law, one.coefficient, one.exponent)}"
        parts.append(
            pd.DataFrame(
                {
                    "series": PAPERS,
                    "law": f"k {one.k}",
                    "x": ends,
                    "loss": [one.at(x) for x in ends],
                    "told": told,
                }
            )
        )
    return pd.concat(parts)


def their_points(corpus: str) -> pd.DataFrame:
    """The papers' trained SAEs on one corpus."""
    rows = [m for m in papers.METRICS if m.corpus == corpus]
    return pd.DataFrame(
        {
            "series": PAPERS,
            "k": [m.k for m in rows],
            "x": [m.n_latents for m in rows],
            "loss": [m.fvu for m in rows],
            "told": [f"papers: {m.name}, {m.corpus}" for m in rows],
        }
    )


def _law_text(law: str, coefficient: float, exponent: float) -> str:
    variable = "n" if law == "latents" else "C"
    sign = "−" if exponent < 0 else ""
    return f"{_FORMULAS[law]} = {coefficient:.3g} {variable}^{sign}{abs(exponent):.3f}"


def _digits(value: float | None) -> str:
    return "not defined" if value is None or not np.isfinite(value) else f"{value:.3f}"


def fit_sentence(fits: pd.DataFrame, d_in: int) -> str:
    """What the fits of one law say: exponents with their confidence, and R²."""
    if fits.empty:
        return "Too few points for a fit."
    told = [
        f"{_name(fit['k'], d_in)} {chips.signed(fit['exponent'], 3)} ({chips.signed(fit['exponent_low'], 3)} … "
        f"{chips.signed(fit['exponent_high'], 3)}), R² {chips.signed(fit['r_squared'])}"
        for fit in fits.sort_values("k").to_dict("records")
    ]
    return f"Exponents with 95 % confidence: {' · '.join(told)}."


def law_table(fits: pd.DataFrame, theirs: str, d_in: int) -> pd.DataFrame:
    """Every fit of ours and the papers', with 95 % confidence intervals of ours."""
    rows: list[dict[str, Any]] = [
        {
            "whose": "this build",
            "law": _FORMULAS[fit["law"]],
            "k": fit["k"],
            "share": fit["k"] / d_in,
            **{name: fit[name] for name in ("exponent", "exponent_low", "exponent_high")},
            **{name: fit[name] for name in ("coefficient", "coefficient_low", "coefficient_high")},
            "r_squared": fit["r_squared"],
            "n_points": fit["n_points"],
        }
        for fit in fits.sort_values(["law", "k"], ascending=[False, True]).to_dict("records")
    ]
    for law, laws in (("latents", papers.LATENT_LAWS[theirs]), ("compute", papers.COMPUTE_LAWS)):
        rows += [
            {"whose": "papers", "law": _FORMULAS[law], "k": one.k, "share": one.k / papers.D_IN,
             "exponent": one.exponent, "coefficient": one.coefficient}
            for one in laws
        ]  # fmt: skip
    columns = ["whose", "law", "k", "share", "exponent", "exponent_low", "exponent_high", "coefficient",
               "coefficient_low", "coefficient_high", "r_squared", "n_points"]  # fmt: skip
    return pd.DataFrame(rows).reindex(columns=columns)


def _fit_table(corpus_name: str, fits: pd.DataFrame, theirs: str, d_in: int, measure: str) -> None:
    table = law_table(fits, theirs, d_in)
    column: Any = st.column_config
    number = column.NumberColumn
    written, configured = with_minus(
        training_charts.coloured(table),
        {
            "whose": column.TextColumn("Whose", width=90),
            "law": column.TextColumn("Law", width=60),
            "k": number("k", format="%d", width=50),
            "share": number("k / d_in", format="percent", width=70),
            "exponent": number("Exponent", format="%.3f", width=80, help="−α of L(n), b of L(C)."),
            "exponent_low": number("from", format="%.3f", width=70, help=_INTERVAL),
            "exponent_high": number("to", format="%.3f", width=70, help=_INTERVAL),
            "coefficient": number("Coefficient", format="%.2f", width=90, help="c of L(n), a of L(C)."),
            "coefficient_low": number("from ", format="%.2f", width=70, help=_INTERVAL),
            "coefficient_high": number("to ", format="%.2f", width=70, help=_INTERVAL),
            "r_squared": number(
                "R²", format="%.3f", width=70,
                help="Share of the variance of log error that the law explains. The papers: above "
                f"{papers.R_SQUARED_ABOVE} for all of theirs.",
            ),
            "n_points": number("Points", format="%d", width=60),
        },
    )  # fmt: skip
    st.dataframe(
        written,
        placeholder="–",
        hide_index=True,
        height=min(460, 35 * (len(table) + 1) + 3),
        key=f"scaling-laws-{corpus_name}-{theirs}-{measure}",
        alt="Fitted laws of this build and of the papers",
        column_config=configured,
    )
    download_table(table, f"{corpus_name}-scaling-laws", key="scaling-laws-csv")


_INTERVAL = (
    "95 % confidence interval (Student's t on logarithms). Points of one training curve hang together, so for L(C) "
    "it is narrower than the truth."
)
