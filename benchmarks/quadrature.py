"""How near each quadrature of integrated gradients comes to the integral, and what noise costs.

The integral is taken from 2048 steps of the trapezoid. At the same number of evaluations of the
gradient, the error of a map is the L1 norm of its difference relative to that of the integral.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import xai_widgets as xw
from benchmarks.attribution import CHUNK, TARGET, pictures, resnet50
from benchmarks.paired import Line, compare, time_in_turn
from benchmarks.tables import Table

MODELS = ("lesions", "animals")
N_IMAGES = 8
FINE = 2048
EVALUATIONS = (17, 33, 65)
QUADRATURES = ("trapezoid", "midpoint", "gauss_legendre", "adaptive")
TOLERANCES = (0.1, 0.05)
MOST = 128


def run(rounds: int = 7) -> list[Line | Table]:
    """Measure everything in this file."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the demo networks are small: more threads only wait for each other
    try:
        errors, kept = zip(*map(_errors, MODELS), strict=True)
    finally:
        torch.set_num_threads(threads)
    return [
        *noise(rounds),
        Table(
            "Quadratures of integrated gradients",
            f"L1 error of the map against {FINE} steps, median (largest) over {N_IMAGES} pictures "
            "of a trained demo model, at the same number of evaluations, from black; the smallest "
            "median is bold.",
            ["model", "evaluations", *QUADRATURES],
            [row for rows in errors for row in rows],
        ),
        Table(
            "The adaptive quadrature until its tolerance",
            f"With at most {MOST + 1} evaluations: evaluations used, median (most), and the L1 "
            "error of the map, beside that of a midpoint rule with as many points for each "
            "picture.",
            ["model", "tolerance", "evaluations", "adaptive", "midpoint"],
            [row for rows in kept for row in rows],
        ),
    ]


def steps(quadrature: str, evaluations: int) -> int:
    """Return ``n_steps`` for a number of evaluations of the gradient."""
    return evaluations - 1 if quadrature in ("trapezoid", "adaptive") else evaluations


def _errors(name: str) -> tuple[list[list[object]], list[list[object]]]:
    """Return the rows of both tables for one model."""
    model = xw.demo.model(name)
    images = [model.prepare(image) for image in xw.demo.dataset(name, n=N_IMAGES, seed=5).images]
    exact = [_map(model, image, "trapezoid", FINE) for image in images]

    def error(i: int, quadrature: str, evaluations: int) -> float:
        found = _map(model, images[i], quadrature, steps(quadrature, evaluations))
        return _distance(found, exact[i])

    rows: list[list[object]] = []
    for evaluations in EVALUATIONS:
        found = {
            quadrature: [error(i, quadrature, evaluations) for i in range(N_IMAGES)]
            for quadrature in QUADRATURES
        }
        best = min(QUADRATURES, key=lambda name: statistics.median(found[name]))
        cells = [_cell(found[quadrature], quadrature == best) for quadrature in QUADRATURES]
        rows.append([name, evaluations, *cells])
    until: list[list[object]] = []
    for tolerance in TOLERANCES:
        results = [
            xw.explain(model, image, quadrature="adaptive", n_steps=MOST, tolerance=tolerance)
            for image in images
        ]
        used = [int(result.diagnostics["evaluations"]) for result in results]
        ours = [_distance(result.attribution, exact[i]) for i, result in enumerate(results)]
        theirs = [error(i, "midpoint", n) for i, n in enumerate(used)]
        spent = f"{statistics.median(used):g} ({max(used)})"
        until.append([name, tolerance, spent, _cell(ours), _cell(theirs)])
    return rows, until


def _map(model: Any, image: Any, quadrature: str, n_steps: int) -> Any:
    return xw.explain(
        model, image, quadrature=quadrature, n_steps=n_steps, tolerance=0.0
    ).attribution


def _distance(found: Any, exact: Any) -> float:
    return float(np.abs(found - exact).sum(dtype=np.float64) / np.abs(exact).sum(dtype=np.float64))


def _cell(errors: list[float], best: bool = False) -> str:
    median = f"{statistics.median(errors):.4f}"
    return f"{f'**{median}**' if best else median} ({max(errors):.4f})"


def noise(rounds: int) -> list[Line]:
    """Compare the methods over many draws with their bare forward and backward passes."""
    source = resnet50()
    model = xw.load(source, input_size=224)
    picture = pictures(1)[0]
    x = torch.from_numpy(model.prepare(picture).values.transpose(2, 0, 1)[None].copy())

    def bare(n_samples: int) -> Callable[[], None]:
        def passes() -> None:
            for start in range(0, n_samples, CHUNK):
                n = min(CHUNK, n_samples - start)
                batch = x.repeat(n, 1, 1, 1).contiguous(memory_format=torch.channels_last)
                batch.requires_grad_(True)
                torch.autograd.grad(source(batch).logits[:, TARGET].sum(), batch)

        return passes

    lines = []
    for title, method, n_samples in (
        ("SmoothGrad", "smoothgrad", 24),
        ("GradientSHAP", "gradient_shap", 48),
    ):
        seconds = time_in_turn(
            {
                "ours": lambda method=method, n=n_samples: xw.explain(
                    model, picture, method, target=TARGET, n_samples=n
                ),
                "bare": bare(n_samples),
            },
            rounds,
        )
        what = f"{title} {n_samples} samples / bare forward + backward"
        lines.append(compare(what, seconds["ours"], seconds["bare"], 1.05))
    return lines
