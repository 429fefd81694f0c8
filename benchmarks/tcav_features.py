"""What TCAV needs from a ResNet-18: features and gradients beside the bare passes, in two ways."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import xai_widgets as xw
from benchmarks.paired import Line, compare, time_in_turn
from benchmarks.tcav import FIRST, LAYERS, N_SETS, SECOND, SIDE, N, bare, pictures, resnet18, timed
from xai_widgets.concepts.evidence import Evidence, result_of
from xai_widgets.concepts.scrub import N_EPSILONS, scrub

WHAT = "TCAV, ResNet-18, 240 activations and 40 gradients at 2 layers"


def run(rounds: int = 3) -> list[Line]:
    """Compare evidence with bare passes, a second class with the first, sweeps with forwards."""
    source = resnet18()
    model = xw.load(source, input_size=SIDE)
    sets = {f"set {i}": image for i, image in enumerate([*pictures(N, 0), *pictures(200, 2)])}
    images = {f"image {i}": image for i, image in enumerate(pictures(N, 1))}
    assert len(sets) == N * (N_SETS + 1)
    second: dict[bool, list[float]] = {True: [], False: []}
    direct: dict[bool, list[float]] = {True: [], False: []}

    def ours(pooled: bool) -> None:
        evidence = Evidence(model, LAYERS, pooled)
        result_of(evidence.activations_of(sets))
        first = timed(lambda: result_of(evidence.gradients_of(images, FIRST)))
        direct[pooled].append(first)
        second[pooled].append(timed(lambda: result_of(evidence.gradients_of(images, SECOND))))

    seconds = time_in_turn(
        {
            "bare": lambda: bare(source),
            "pooled": partial(ours, True),
            "flattened": partial(ours, False),
        },
        rounds,
    )
    lines = []
    for pooled, name in ((True, "pooled"), (False, "flattened")):
        goal = 1.3 if pooled else None
        lines.append(compare(f"{WHAT}, {name} / bare passes", seconds[name], seconds["bare"], goal))
        title = f"{WHAT}, {name}, gradients of a second class / of the first"
        lines.append(compare(title, second[pooled][1:], direct[pooled][1:]))
    return [*lines, *sweep(model, rounds)]


def sweep(model: Any, rounds: int) -> list[Line]:
    """Compare a sweep over 33 epsilons at each layer with as many plain forward passes."""
    image = model.prepare(pictures(N, 1)[0])
    batch = np.repeat(image.values[None], N_EPSILONS, axis=0)
    contenders: dict[str, Any] = {"plain": lambda: model.outputs(batch)}
    for layer in LAYERS:
        vector = np.random.default_rng(0).normal(size=model.layer(layer).shape[-1])
        contenders[layer] = partial(scrub, model, image, layer, vector)
    seconds = time_in_turn(contenders, rounds)
    return [
        compare(
            f"TCAV, ResNet-18, sweep over {N_EPSILONS} epsilons at {layer} / as many forwards",
            seconds[layer],
            seconds["plain"],
        )
        for layer in LAYERS
    ]


if __name__ == "__main__":
    print("\n".join(map(str, run())))
