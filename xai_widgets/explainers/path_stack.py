"""The stack of a path: what each step contributes. Twin of js/src/core/path_stack.ts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

RULES = ("trapezoid", "backward")


@dataclass(frozen=True)
class Convergence:
    """How the gap shrinks as steps are added.

    Attributes
    ----------
    levels
        Numbers of evaluations, ascending, and the sum of the attributions - (f(x) - f(b)) by them.
    moved
        How much the map changed when the steps were last doubled: L1 difference over L1 size.
    """

    levels: tuple[tuple[int, float], ...]
    moved: float | None


@dataclass(frozen=True, eq=False)
class Nodes:
    """Some points of a path.

    Attributes
    ----------
    positions
        Which points, from 0 at the baseline to n at the image; between whole numbers where the
        steps are uneven.
    maps
        float16 or float32 [k, H, W]; times ``scales`` they are the values.
    scales
        float32 [k].
    scores
        float32 [k, S]: the target's score, then those of the classes that are watched.
    pictures
        uint8 [k, H, W, 3], what the model saw, where that is not on the line from the baseline to
        the image; else None.
    """

    positions: tuple[float, ...]
    maps: npt.NDArray[Any]
    scales: Floats
    scores: Floats
    pictures: Pixels | None = None

    @property
    def values(self) -> Floats:
        """float32 [k, H, W]: the derivative of the score along the path, pixel by pixel."""
        return np.asarray(self.maps.astype(np.float32) * self.scales[:, None, None])

    @property
    def nbytes(self) -> int:
        """Size of the maps and pictures in bytes."""
        return self.maps.nbytes + (0 if self.pictures is None else self.pictures.nbytes)


@dataclass(eq=False)
class PathStack:
    """The maps of a path's points, as many as there are yet.

    A point's map is the sum over channels of d x / d alpha times the gradient there, so that its
    sum is the slope of the score along the path. The integral of the maps over alpha, a trapezoid
    with halved end weights, is the attribution.

    By the rule "backward", of a guided path, a point's map is that of the step that led to it,
    gradient at its start times movement, over the step's length: the first has none.

    Attributes
    ----------
    n_steps
        Intervals of the path: there are one more points. Of uneven steps the most there may be.
    rule
        How maps become a sum: "trapezoid" or "backward".
    parts
        The points, in the order in which they were computed.
    attribution
        The result, once every point is there.
    convergence
        Where it cannot be made from the maps: of a path whose points move from step to step.
    """

    n_steps: int
    parts: list[Nodes] = field(default_factory=list)
    attribution: Attribution | None = None
    rule: str = "trapezoid"
    convergence: Convergence | None = None

    @property
    def complete(self) -> bool:
        """Whether every point is there."""
        return self.attribution is not None

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        own = 0 if self.attribution is None else self.attribution.values.nbytes
        return own + sum(part.nbytes for part in self.parts)

    @property
    def positions(self) -> npt.NDArray[np.float64]:
        """The points that are there, ascending, 0..n_steps, [k]."""
        return np.sort(np.array([at for part in self.parts for at in part.positions], np.float64))

    @property
    def alphas(self) -> npt.NDArray[np.float64]:
        """Where on the path these points are, 0..1, [k]."""
        return np.asarray(self.positions / self.n_steps)

    @property
    def maps(self) -> Floats:
        """Their maps, float32 [k, H, W]."""
        return self._sorted([part.values for part in self.parts])

    @property
    def scores(self) -> Floats:
        """Their scores, float32 [k, S]."""
        return self._sorted([part.scores for part in self.parts])

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """The weights of the rule, [k], summing to one; a trapezoid's ends have half."""
        between = np.diff(self.alphas)
        if self.rule == "backward":
            return np.asarray(np.insert(between, 0, 0.0))
        between = between / 2
        return np.asarray(np.append(between, 0.0) + np.insert(between, 0, 0.0))

    @property
    def contributions(self) -> Floats:
        """What each point adds to the attribution, float32 [k, H, W]; the sum is its map."""
        return np.asarray(self.maps * self.weights[:, None, None], dtype=np.float32)

    @property
    def accumulated(self) -> Floats:
        """The attribution of the path up to each point, float32 [k, H, W]; zero at the first."""
        maps = self.maps
        means = maps[1:] if self.rule == "backward" else (maps[1:] + maps[:-1]) / 2
        steps = means * np.diff(self.alphas)[:, None, None]
        return np.concatenate([np.zeros_like(maps[:1]), np.cumsum(steps, axis=0, dtype=np.float32)])

    def _sorted(self, arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
        order = np.argsort([at for part in self.parts for at in part.positions])
        return np.asarray(np.concatenate(arrays)[order])
