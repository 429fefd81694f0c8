"""A map while the layers under it lose what they learned: data that a strip can scrub."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MetricError
from xai_widgets.evaluation.base import Case, channel_sum
from xai_widgets.evaluation.checks import whole
from xai_widgets.evaluation.normalise import Map
from xai_widgets.evaluation.randomisation import Stage, randomised, stages
from xai_widgets.evaluation.similarity import similarity

MODES = ("cascade", "independent")
CURVES = tuple((kind, sign) for kind in ("spearman", "ssim") for sign in ("signed", "absolute"))


@dataclass(frozen=True, eq=False)
class Cascade:
    """The map of one image as stages of the network are randomised, from the head down.

    Attributes
    ----------
    mode
        "cascade": stage k and all above it; "independent": stage k alone.
    stages
        The S names, from the head.
    maps
        float32 [S + 1, H, W]: the first is that of the network itself.
    similarity
        "spearman signed", "spearman absolute", "ssim signed", "ssim absolute": [S] similarities of
        each later map with the first; the unrandomised point is not among them.
    seed
        Of the weights.
    """

    mode: str
    stages: tuple[str, ...]
    maps: npt.NDArray[np.float32] = field(repr=False)
    similarity: dict[str, list[float]]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the maps, JSON-ready."""
        return {
            "mode": self.mode,
            "stages": list(self.stages),
            "similarity": {name: list(values) for name, values in self.similarity.items()},
            "seed": self.seed,
        }


@dataclass(frozen=True, eq=False)
class CascadePart:
    """One step of a cascade: the map after one more randomisation.

    Attributes
    ----------
    index
        Of the map: 1 for the first stage from the head; 0 is the network's own.
    stages
        The names of all stages.
    map
        float32 [H, W], signed.
    similarity
        With the network's own map, by curve.
    """

    index: int
    stages: tuple[str, ...]
    map: Map = field(repr=False)
    similarity: dict[str, float]


def cascade_steps(
    case: Case,
    mode: str = "cascade",
    n_stages: int | None = None,
    curves: Sequence[tuple[str, str]] = CURVES,
    seed: int = 0,
    parts: Sequence[Stage] | None = None,
    only_last: bool = False,
) -> Generator[None, None, Cascade]:
    """Explain after each randomisation, yielding in between; see `cascade_stream`."""
    stream = cascade_stream(case, mode, n_stages, curves, seed, parts, only_last)
    try:
        while True:
            next(stream)
            yield
    except StopIteration as stop:
        found: Cascade = stop.value
        return found
    finally:
        stream.close()


def cascade_stream(
    case: Case,
    mode: str = "cascade",
    n_stages: int | None = None,
    curves: Sequence[tuple[str, str]] = CURVES,
    seed: int = 0,
    parts: Sequence[Stage] | None = None,
    only_last: bool = False,
) -> Generator[CascadePart, None, Cascade]:
    """Explain after each randomisation, yielding each map; the weights are back at each yield.

    Parameters
    ----------
    n_stages
        How many stages, counted from the head; None for all.
    curves
        Pairs of (kind, sign) of `similarity`.
    parts
        The stages, if they are known.
    only_last
        Leave out all maps but the first and the last, with as many explanations fewer.

    Raises
    ------
    MetricError
        If the mode does not exist, or a number is wrong.
    """
    if mode not in MODES:
        raise MetricError(f"mode cannot be {mode!r}: use one of {', '.join(MODES)}.")
    n_stages = None if n_stages is None else whole(1)("n_stages", n_stages)
    seed = whole(0)("seed", seed)
    assert case.model is not None and case.explain is not None
    chosen = (parts or stages(case.model))[:n_stages]
    names_of = tuple(stage.name for stage in (chosen[-1:] if only_last else chosen))
    maps: list[Map] = [case.signed]
    alike: dict[str, list[float]] = {" ".join(pair): [] for pair in curves}
    for k, stage in enumerate(chosen):
        if only_last and k < len(chosen) - 1:
            continue
        if len(maps) == 1:
            yield CascadePart(0, names_of, maps[0], {})
        lost = chosen[: k + 1] if mode == "cascade" else [stage]
        names = {name for part in lost for name in part.weights}
        with randomised(case.model, names, seed):
            maps.append(channel_sum(case.explain(case.image)))
        for kind, sign in curves:
            alike[f"{kind} {sign}"].append(similarity(maps[0], maps[-1], kind, sign))
        now = {name: values[-1] for name, values in alike.items()}
        yield CascadePart(len(maps) - 1, names_of, maps[-1], now)
    return Cascade(mode, names_of, np.stack(maps), alike, seed)
