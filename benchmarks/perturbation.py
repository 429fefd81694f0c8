"""Score-CAM, RISE and occlusion beside the bare forward passes they cannot do without."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import xai_widgets as xw
from benchmarks.attribution import pictures, resnet50
from benchmarks.paired import Line, compare, time_in_turn

TARGET = 3
N = 64
"""Passes of each method on ResNet-50."""
N_SMALL = 256
"""Passes of each method on the demo network."""


def run(rounds: int = 5) -> list[Line]:
    """Measure everything in this file."""
    return [
        *_compared("ResNet-50", xw.load(resnet50(), input_size=224), N, rounds, 1.1),
        *_compared("demo CNN", xw.demo.model("animals"), N_SMALL, rounds, 1.3),
        *_compared("Keras ResNet50", _keras_resnet50(), N, rounds, 1.1),
        *_compared(
            "Keras demo CNN", xw.demo.model("animals", framework="tensorflow"), N_SMALL, rounds, 1.3
        ),
        *memory(),
    ]


def _keras_resnet50() -> xw.ExplainableModel:
    import keras

    keras.utils.set_random_seed(0)
    return xw.load(keras.applications.ResNet50(weights=None, classifier_activation=None))


def _compared(
    name: str, model: xw.ExplainableModel, n: int, rounds: int, at_most: float
) -> list[Line]:
    """Compare each method with as many bare forwards, in batches of the same size."""
    side = model.input_shape[0]
    image = model.prepare(_picture(side))
    target = min(TARGET, len(model.labels) - 1)
    layer = model.recommended_layer
    channels = min(n, next(entry.shape[-1] for entry in model.layers if entry.name == layer))
    stride = max(1, (side - side // 8) // (round(n**0.5) - 1))
    windows = len(range(0, side - side // 8 + 1, stride)) ** 2
    methods: dict[str, tuple[int, dict[str, Any]]] = {
        "score_cam": (channels + 1, {"n_channels": channels}),
        "rise": (n + 1, {"n_masks": n}),
        "occlusion": (windows + 1, {"window_size": side // 8, "stride": stride}),
    }
    lines = []
    for method, (passes, parameters) in methods.items():

        def ours(method: str = method, parameters: dict[str, Any] = parameters) -> object:
            model.forward_pass(model.prepare(_picture(side, next(_SEEDS))))  # nothing is kept
            return xw.explain(model, image, method, target=target, **parameters)

        diagnostics = ours().diagnostics  # type: ignore[attr-defined]
        passes = diagnostics.get("windows", passes - 1) + 1
        seconds = time_in_turn({"ours": ours, "bare": _bare(model, image, passes)}, rounds)
        title = f"{name}, {method} of {passes - 1} / bare forwards"
        lines.append(compare(title, seconds["ours"], seconds["bare"], at_most))
    return lines


_SEEDS = iter(range(1, 10**9))


def _picture(side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def _bare(model: xw.ExplainableModel, image: Any, passes: int) -> Callable[[], object]:
    """Return the source's own forward passes: batches made beforehand, and nothing around them.

    One more pass of a single image stands for the one that empties what ours keeps of the last.
    """
    size = model.chunk_size
    sizes = [1, 1, *[size] * ((passes - 1) // size), (passes - 1) % size]
    batches = {n: np.repeat(image.values[None], n, axis=0) for n in set(sizes) if n}
    if model.framework == "tensorflow":
        import tensorflow as tf

        forward = tf.function(lambda batch: model.source(batch, training=False))
        tensors = {n: tf.constant(batch) for n, batch in batches.items()}
        return lambda: [np.asarray(forward(tensors[n])) for n in sizes if n]
    viewed = {n: torch.from_numpy(batch).permute(0, 3, 1, 2) for n, batch in batches.items()}

    def passes_of_torch() -> None:
        with torch.no_grad():
            for n in sizes:
                if n:
                    model.source(viewed[n])

    return passes_of_torch


def memory(rounds: int = 2) -> list[Line]:
    """Compare the peak memory at many passes with that at few, a process each."""
    lines = []
    for method, name, few, many in (
        ("rise", "n_masks", 16, 128),
        ("score_cam", "n_channels", 16, 128),
        ("occlusion", "stride", 64, 20),
        ("gradient_shap", "n_samples", 16, 64),
    ):
        peaks = [[_peak(method, name, value) for _ in range(rounds)] for value in (many, few)]
        title = f"ResNet-50, {method} peak memory, {name} {many} / {few}"
        lines.append(compare(title, *peaks, 1.1))
    return lines


def _peak(method: str, name: str, value: int) -> float:
    command = [sys.executable, "-m", "benchmarks.perturbation", method, name, str(value)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _measure(method: str, name: str, value: int) -> float:
    model = xw.load(resnet50(), input_size=224)
    xw.explain(model, pictures(1)[0], method, target=TARGET, **{name: value})
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    print(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3])))
