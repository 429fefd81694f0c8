"""Measure what works for every model format, and write it into docs/formats.md.

``python -m scripts.format_matrix`` writes the page; a test compares it with a new measurement.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts.format_zoo import SIDE, ZOO, Specimen

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
HEADER = ("model", "format", "trust", "predict", "gradients", "layers", "IG", "Grad-CAM", "verdict")


@dataclass(frozen=True)
class Row:
    """What was measured for one specimen."""

    title: str
    format: str
    trust: bool
    predicts: bool
    input_gradients: bool
    layers: bool
    integrated_gradients: bool
    grad_cam: bool
    verdict: str

    def cells(self) -> list[str]:
        """Return the row of the table."""
        marks = ["yes" if value else "-" for value in (self.trust, self.predicts)]
        capabilities = (
            self.input_gradients,
            self.layers,
            self.integrated_gradients,
            self.grad_cam,
        )
        marks += ["yes" if value else "-" for value in capabilities]
        return [self.title, f"`{self.format}`", *marks, self.verdict]


def picture() -> Any:
    """Return noise, uint8 [SIDE, SIDE, 3]."""
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def measure(specimen: Specimen, folder: Path) -> Row:
    """Load a specimen and try everything that a user could."""
    import xai_widgets as xw

    source = specimen.make(folder)
    model = xw.load(source, **specimen.options)
    image = model.prepare(picture())
    works: dict[str, bool] = {}
    attempts = {
        "predicts": lambda: model.scores(np.stack([image.values] * 3)),
        "input_gradients": lambda: model.gradients(image.values[None], xw.ClassTarget(0)).values,
        "integrated_gradients": lambda: xw.explain(model, image, method="integrated_gradients").map,
        "grad_cam": lambda: xw.explain(model, image, method="grad_cam").map,
    }
    for name, attempt in attempts.items():
        try:
            values = model.backend.to_numpy(attempt())
        except xw.errors.XaiError:
            works[name] = False
        else:
            works[name] = bool(np.isfinite(values).all() and np.asarray(values).any())
    return Row(
        title=specimen.title,
        format=model.format,
        trust=model.trusted,
        layers=bool(model.layers),
        verdict=xw.check(model, picture()).verdict,
        **works,
    )


def rows() -> Iterator[Row]:
    """Measure all specimens."""
    for specimen in ZOO:
        with tempfile.TemporaryDirectory() as folder:
            yield measure(specimen, Path(folder))


def table(measured: Sequence[Row]) -> str:
    """Return the measured rows as Markdown."""
    lines = ["| " + " | ".join(HEADER) + " |", "|" + " --- |" * len(HEADER)]
    lines += ["| " + " | ".join(row.cells()) + " |" for row in measured]
    return "\n".join(lines)


def page(measured: Sequence[Row], text: str) -> str:
    """Return the page with a new table in the place of the old one."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table(measured)}\n{END}{after}"


def main() -> int:
    """Write the page."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page(list(rows()), text), encoding="utf-8")
    print(f"Wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
