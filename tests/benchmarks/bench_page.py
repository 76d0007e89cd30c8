"""docs/benchmarks.md and its chart, from what was measured."""

import datetime
import os
import platform
from dataclasses import dataclass
from html import escape
from pathlib import Path

INTRODUCTION = """# Benchmarks

Written by `make bench` on {date}: {machine}; it took {seconds:.0f} seconds. Ratios are of medians, of contenders
that took turns in the same run. "Product" is the encoder's matrix product alone in float32, which no method
avoids. "Plain" is the step as one would first write it in PyTorch: standardisation, top-k, dense latents and decoder,
autograd, projection, clipping, default Adam, renormalisation and a count of dead latents; neither side gathers rows
from a corpus. Batches have 1,024 documents.

![Ratios measured against what is asked](benchmarks.svg)

| what | shape | measured | must | aim | |
|---|---|---|---|---|---|
"""
GROWTH = """
## Growth

Milliseconds as one size doubles twice (768 dimensions; 4,608 latents, k 32, 1,024 documents in a step, 2,048 to encode
and 40,960 in the co-occurrence, unless that size is the one that doubles). Twice is linear. Medians of turns; a turn
of step and encode begins with a call that does not count, so that each finds its own data in the caches as far as they
fit. Co-occurrence counts pairs of active features, k² of each document, and hands on every pair that meets: as
latents double, its output itself grows: 5, 12 and 20 million entries.

| what | doubles | 1× | 2× | 4× | last doubling |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """One measured figure and what is asked of it."""

    what: str
    shape: str
    measured: float
    must: float | None
    aim: float | None
    sense: str
    """``≤`` or ``≥``: how ``measured`` should stand to ``must``."""

    @property
    def holds(self) -> bool | None:
        if self.must is None:
            return None
        return self.measured <= self.must if self.sense == "≤" else self.measured >= self.must

    def number(self, value: float | None) -> str:
        return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.2f}"

    def line(self) -> str:
        asked = [f"{self.sense} {self.number(v)}" if v is not None else "" for v in (self.must, self.aim)]
        verdict = {True: "holds", False: "**does not hold**", None: ""}[self.holds]
        return " | ".join(
            ["", self.what, self.shape, self.number(self.measured), *asked, verdict, ""]
        ).strip()


def machine() -> str:
    """Model and number of the processors."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores"


def chart(rows: list[Row]) -> str:
    """SVG with one bar a figure: how many times better than what must hold, on which the line stands at 1."""
    asked = [row for row in rows if row.must]
    height, left, scale = 24, 430, 150
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + 3 * scale}" height="{height * len(asked) + 40}"'
        ' font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for i, row in enumerate(asked):
        must = row.must or 1.0
        better = must / row.measured if row.sense == "≤" else row.measured / must
        y = 8 + height * i
        colour = "#2c7fb8" if row.holds else "#d95f0e"
        lines.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(row.what.split(" (")[0])}, '
        )
        lines.append(f"{escape(row.shape.split(',')[0])}</text>")
        lines.append(
            f'<rect x="{left}" y="{y}" width="{min(better, 2.9) * scale:.0f}" height="18" fill="{colour}"/>'
        )
        text = f"{row.number(row.measured)} ({row.sense} {row.number(must)})"
        lines.append(f'<text x="{left + 6}" y="{y + 14}" fill="white">{escape(text)}</text>')
    bottom = 8 + height * len(asked)
    lines.append(f'<line x1="{left + scale}" y1="0" x2="{left + scale}" y2="{bottom}" stroke="black"/>')
    lines.append(f'<text x="{left + scale}" y="{bottom + 16}" text-anchor="middle">what must hold; ')
    lines.append("longer is better</text></svg>")
    return "\n".join(lines) + "\n"


def write_page(
    out: Path,
    rows: list[Row],
    growth: list[tuple[str, str, list[float]]],
    seconds: float,
    on: str,
    date: datetime.date,
) -> str:
    """Write benchmarks.md and benchmarks.svg into ``out``; what is there below a line `## The papers` stays."""
    page = out / "benchmarks.md"
    old = page.read_text(encoding="utf-8") if page.exists() else ""
    kept = "\n" + old[old.index("## The papers") :] if "## The papers" in old else ""
    text = INTRODUCTION.format(date=date, machine=on, seconds=seconds)
    text += "".join(row.line() + "\n" for row in rows) + GROWTH
    for what, doubles, times in growth:
        cells = " | ".join(f"{value:.1f}" for value in times)
        text += f"| {what} | {doubles} | {cells} | {times[2] / times[1]:.2f} |\n"
    page.write_text(text + kept, encoding="utf-8")
    (out / "benchmarks.svg").write_text(chart(rows), encoding="utf-8")
    return text
