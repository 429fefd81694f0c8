"""Integrated gradients and Grad-CAM on Keras' ResNet50 at 224 px: ours, Xplique's, bare.

At its best batch size Xplique is as fast as the bare forward and backward pass, so that there is no
room below it but a faster pass. Tried in turn with the bare one on two cores (medians of 8 rounds):
weights frozen to constants, which lets TensorFlow fold the batch normalisations, 0.93 of it, for
32 s of start-up in place of 6 s, a second copy of the weights and other flipped gates; XLA
(``jit_compile=True``) 1.36 of it. Neither is used.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import statistics
from collections.abc import Callable
from itertools import count
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from xplique.attributions import GradCAM, IntegratedGradients

import xai_widgets as xw
from benchmarks.paired import Line, compare, time_in_turn

N_STEPS = 32
CHUNKS = (9, 8, 8, 8)
TARGET = 3
BATCHES = (4, 8, 16, 33)


def pictures(n: int = 64) -> np.ndarray:
    """Return noise pictures, uint8 [N, 224, 224, 3]."""
    return np.random.default_rng(0).integers(0, 256, (n, 224, 224, 3), dtype=np.uint8)


def run(rounds: int = 5) -> list[Line]:
    """Measure everything in this file."""
    keras.utils.set_random_seed(0)
    source = keras.applications.ResNet50(weights=None, classifier_activation=None)
    model = xw.load(source)
    return [*integrated_gradients(model, source, rounds), *grad_cam(model, source, rounds)]


def _bare(source: Any) -> Callable[[Any], Any]:
    """Return the traced forward and backward pass, and nothing around it."""

    @tf.function
    def backward(batch: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch)
            score = tf.reduce_sum(source(batch, training=False)[:, TARGET])
        return tape.gradient(score, batch)

    return backward


def integrated_gradients(model: xw.ExplainableModel, source: Any, rounds: int) -> list[Line]:
    """Compare 32 steps of integrated gradients; Xplique computes 32 points, we compute 33."""
    picture = pictures(1)[0]
    values = model.prepare(picture).values[None]
    label = np.eye(1000, dtype=np.float32)[[TARGET]]
    backward, batch = _bare(source), tf.constant(np.repeat(values, max(CHUNKS), axis=0))
    peers = {
        f"xplique {size}": IntegratedGradients(
            source, steps=N_STEPS, batch_size=size, baseline_value=0.0
        )
        for size in BATCHES
    }

    def ours() -> object:
        return xw.explain(model, picture, n_steps=N_STEPS, target=TARGET)

    def bare() -> None:
        for n in CHUNKS:
            backward(batch[:n]).numpy()

    contenders: dict[str, Callable[[], object]] = {"ours": ours, "bare": bare}
    for name, peer in peers.items():
        contenders[name] = lambda peer=peer: peer.explain(values, label)
    seconds = time_in_turn(contenders, rounds)
    best = min(peers, key=lambda name: statistics.median(seconds[name]))
    title = f"Keras IG {N_STEPS} steps"
    return [
        compare(f"{title} / bare forward + backward", seconds["ours"], seconds["bare"], 1.1),
        compare(f"{title} / Xplique's best ({best})", seconds["ours"], seconds[best], 0.85),
    ]


def grad_cam(model: xw.ExplainableModel, source: Any, rounds: int) -> list[Line]:
    """Compare Grad-CAM, then ask for another class on the same picture."""
    images, turn, classes = pictures(), count(), count()
    values = model.prepare(images[0]).values[None]
    label = np.eye(1000, dtype=np.float32)[[TARGET]]
    forward = tf.function(lambda batch: source(batch, training=False))
    peer = GradCAM(source, conv_layer=model.recommended_layer)
    batch = tf.constant(values)

    def ours() -> object:
        return xw.explain(model, images[next(turn) % len(images)], "grad_cam", target=TARGET)

    kept = model.prepare(images[-1])
    seconds = time_in_turn(
        {
            "ours": ours,
            "bare": lambda: forward(batch).numpy(),
            "xplique": lambda: peer.explain(values, label),
        },
        rounds * 4,
        warm_up=3,
    )
    xw.explain(model, kept, "grad_cam", target=TARGET)
    again = time_in_turn(
        {"again": lambda: xw.explain(model, kept, "grad_cam", target=next(classes))}, rounds * 4
    )
    return [
        compare("Keras Grad-CAM / bare forward", seconds["ours"], seconds["bare"]),
        compare("Keras Grad-CAM / Xplique", seconds["ours"], seconds["xplique"]),
        compare("Keras Grad-CAM, new class / first", again["again"], seconds["ours"]),
    ]
