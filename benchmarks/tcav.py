"""TCAV on a ResNet-18: ours, Captum's, the bare passes; its null, its memory, a cancel."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from captum.concept import TCAV, Concept
from transformers import ResNetConfig, ResNetForImageClassification

import xai_widgets as xw
from benchmarks.attribution import Logits
from benchmarks.paired import Line, compare
from xai_widgets.concepts.evidence import Evidence
from xai_widgets.concepts.fits import Fits
from xai_widgets.concepts.options import Options
from xai_widgets.concepts.pictures import opened
from xai_widgets.concepts.scoring import TcavResult
from xai_widgets.concepts.tcav import TcavRequest, tcav_steps

N, N_SETS, SIDE = 40, 5, 224
LAYERS = ("resnet.encoder.stages.2", "resnet.encoder.stages.3")
CHUNK = 16
FIRST, SECOND = 3, 7


def resnet18() -> ResNetForImageClassification:
    """Return transformers' ResNet of basic layers, as large as a ResNet-18, with random weights."""
    torch.manual_seed(0)
    config = ResNetConfig(
        depths=[2, 2, 2, 2],
        hidden_sizes=[64, 128, 256, 512],
        layer_type="basic",
        num_labels=1000,
    )
    return ResNetForImageClassification(config).eval()


@cache
def pictures(n: int, seed: int) -> np.ndarray:
    """Return coarse noise, uint8 [N, 224, 224, 3], of another colour for each seed."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 160, (n, 14, 14, 3)) + rng.integers(0, 90, 3)
    return cells.repeat(16, axis=1).repeat(16, axis=2).astype(np.uint8)


def run(rounds: int = 3) -> list[Line]:
    """Measure everything in this file."""
    return [*against_captum(rounds), *null(), *memory(), *cancelling()]


def request(target: int, quick: bool = True, n_sets: int = N_SETS) -> TcavRequest:
    """Return one concept of 40 pictures, a pool of five sets of 40, and 40 images."""
    return TcavRequest(
        opened(pictures(N, 1), "images"),
        target,
        {"concept": opened(pictures(N, 0), "concept")},
        opened(pictures(N * N_SETS, 2), "pool"),
        Options(quick=quick, n_random_sets=n_sets),
    )


def finished(steps: Any) -> TcavResult:
    """Take all steps."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: TcavResult = stop.value
            return result


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def against_captum(rounds: int) -> list[Line]:
    """Compare the first and the second class, in turn."""
    source = resnet18()
    model = xw.load(source, input_size=SIDE)
    names = ("bare", "pooled", "flattened", "captum")
    first: dict[str, list[float]] = {name: [] for name in names}
    second: dict[str, list[float]] = {name: [] for name in names[1:]}
    for turn in range(-1, rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if name == "bare":
                seconds = [timed(lambda: bare(source))]
            elif name == "captum":
                seconds = captums(source)
            else:
                seconds = ours(model, name == "pooled")
            if turn >= 0:
                first[name].append(seconds[0])
                if len(seconds) > 1:
                    second[name].append(seconds[1])
    what = "TCAV, ResNet-18, 6 sets of 40, 2 layers"
    lines = []
    for name in ("pooled", "flattened"):
        goal = 1.3 if name == "pooled" else None
        title = f"{what}, {name}, ours without null / bare passes"
        lines.append(compare(title, first[name], first["bare"], goal))
        title = f"{what}, {name}, ours without null / Captum (flattened)"
        lines.append(compare(title, first[name], first["captum"], 1 / 3))
        title = f"{what}, {name}, second class, ours / Captum (flattened)"
        lines.append(compare(title, second[name], second["captum"], 1 / 5))
    return lines


def bare(source: Any) -> None:
    """Pass 240 pictures forwards, and 40 forwards and back to the first layer, from tensors."""
    sets = _tensors([*pictures(N, 0), *pictures(N * N_SETS, 2)])
    images = _tensors(pictures(N, 1))
    with torch.no_grad():
        for part in sets.split(CHUNK):
            source(part)
    stem, stages = source.resnet, source.resnet.encoder.stages
    for part in images.split(CHUNK):
        with torch.no_grad():
            hidden = stages[1](stages[0](stem.embedder(part)))
            early = stages[2](hidden)
        early.requires_grad_()
        late = stages[3](early)
        logits = source.classifier(stem.pooler(late))
        torch.autograd.grad(logits[:, FIRST].sum(), [early, late])


def _tensors(images: Iterable[np.ndarray]) -> torch.Tensor:
    values = np.stack(list(images)).astype(np.float32) / np.float32(255)
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def ours(model: Any, pooled: bool) -> list[float]:
    """Return the seconds of the first class from nothing, and of the second one after it."""
    evidence, fits = Evidence(model, LAYERS, pooled=pooled), Fits()

    def test(target: int) -> object:
        return finished(tcav_steps(evidence, request(target), fits))

    return [timed(partial(test, target)) for target in (FIRST, SECOND)]


def captums(source: Any) -> list[float]:
    """Return the same of Captum; its tensors are made beforehand, [N, C, H, W] as it asks for."""
    pool = _tensors(pictures(N * N_SETS, 2)).contiguous()
    images = _tensors(pictures(N, 1)).contiguous()
    concept = Concept(0, "concept", _batches(_tensors(pictures(N, 0)).contiguous()))
    sets = [
        [concept, Concept(i + 1, f"random {i}", _batches(pool[i * N : (i + 1) * N]))]
        for i in range(N_SETS)
    ]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tester = TCAV(Logits(source), [f"inner.{name}" for name in LAYERS], save_path=folder)
        return [
            timed(partial(tester.interpret, images, sets, target=target))
            for target in (FIRST, SECOND)
        ]


def _batches(values: torch.Tensor) -> list[torch.Tensor]:
    return list(values.split(CHUNK))


def null() -> list[Line]:
    """Time the null of 199 pseudo-concepts, with ten random sets."""
    model = xw.load(resnet18(), input_size=SIDE)
    lines = []
    for pooled in (True, False):
        evidence = Evidence(model, LAYERS, pooled=pooled)
        seconds = []
        for turn in range(4):
            fits = Fits()
            finished(tcav_steps(evidence, request(FIRST, n_sets=10), fits))
            steps = tcav_steps(evidence, request(FIRST, quick=False, n_sets=10), fits)
            spent = timed(partial(finished, steps)) / len(LAYERS)
            if turn:
                seconds.append(spent)
        kind = "pooled" if pooled else "flattened"
        middle = statistics.median(seconds)
        goal, reached = ("<= 8 s", middle <= 8) if pooled else ("-", True)
        title = f"TCAV, null of 199 with 10 random sets, {kind}, seconds a layer"
        lines.append(Line(title, middle, min(seconds), max(seconds), goal, reached))
    return lines


def memory(rounds: int = 2) -> list[Line]:
    """Compare the peak of 100 random sets with that of 10; 3 concepts, 3 layers."""
    peaks = [[_peak(n) for _ in range(rounds)] for n in (100, 10)]
    return [
        compare("TCAV, 3 concepts, 3 layers, peak memory, 100 / 10 random sets", *peaks, 1.1),
        _above("TCAV, 3 concepts, 3 layers, 100 random sets, MiB above a forward pass", peaks[0]),
    ]


def _above(what: str, peaks: list[float]) -> Line:
    extra = [peak - _peak(0) for peak in peaks]
    return Line(what, statistics.median(extra), min(extra), max(extra), "-", True)


def _peak(n_sets: int) -> float:
    command = [sys.executable, "-m", "benchmarks.tcav", str(n_sets)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def _steps(n_sets: int) -> Any:
    concepts = {name: opened(xw.demo.concept(name), name) for name in ("stripes", "spots", "grass")}
    data = xw.demo.dataset("animals", n=100)
    pool = xw.demo.concept("random", exclude=tuple(concepts), n=200)
    job = TcavRequest(
        opened(data.images[data.labels == 4], "images"),
        "zebra",
        concepts,
        opened(pool, "pool"),
        Options(n_random_sets=n_sets),
    )
    model = xw.demo.model("animals")
    return tcav_steps(Evidence(model, ["stage1", "stage2", "stage3"]), job)


def _measure(n_sets: int) -> float:
    if n_sets:
        finished(_steps(n_sets))
    else:
        model = xw.demo.model("animals")
        model.scores(np.zeros((1, *model.input_shape), np.float32))
    return _own_peak()


def _own_peak() -> float:
    """Return the peak of this process, MiB; what getrusage says is at least that of its parent."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def cancelling() -> list[Line]:
    """Time the steps between which 100 random sets x 3 concepts x 3 layers can be cancelled."""
    steps, seconds = _steps(100), []
    while True:
        started = time.perf_counter()
        try:
            next(steps)
        except StopIteration:
            break
        seconds.append(time.perf_counter() - started)
    title = (
        f"TCAV, 3 concepts, 3 layers, 100 random sets, seconds until a cancel is heard: "
        f"{len(seconds)} steps in {sum(seconds):.0f} s"
    )
    middle, longest = statistics.median(seconds), max(seconds)
    return [Line(title, middle, min(seconds), longest, "longest <= 2", longest <= 2)]


if __name__ == "__main__":
    print(_measure(int(sys.argv[1])))
