"""RISE: the mean of random masks, each weighted by the score of what it leaves to be seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.explainers.base import Attribution, Cost, Explainer, Progress, Stream, parameter
from xai_widgets.explainers.baselines import BASELINES, baseline_values
from xai_widgets.explainers.masking import Hiding, chunks, whole_score
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RandomGrids:
    """Random grids of N masks, and where the picture's window lies in each enlarged grid.

    Attributes
    ----------
    cells
        float32 [N, s, s] of zeros and ones.
    shifts
        [N, 2] rows and columns cut off from the enlarged grid, each less than a cell.
    size
        (height, width) of the picture.
    """

    cells: Floats
    shifts: npt.NDArray[np.int64]
    size: tuple[int, int]

    @classmethod
    def draw(
        cls, n: int, grid_size: int, p: float, size: tuple[int, int], seed: int
    ) -> "RandomGrids":
        """Draw N grids whose cells are open with probability ``p``."""
        generator = np.random.default_rng(seed)
        cells = (generator.random((n, grid_size, grid_size)) < p).astype(np.float32)
        shifts = [generator.integers(0, _cell(side, grid_size), n) for side in size]
        return cls(cells, np.stack(shifts, axis=1), size)

    def masks(self, numbers: npt.NDArray[np.int64], backend: Backend) -> Array:
        """Enlarge some grids bilinearly to one cell more than the picture, and cut the window out.

        Both are one product with a matrix on either side, so that masks are made on the device.

        Returns
        -------
        [len(numbers), H, W, 1]
            Of values 0..1.
        """
        rows = self._weights(0, numbers)
        columns = np.swapaxes(self._weights(1, numbers), 1, 2)
        enlarged = backend.matmul(
            backend.matmul(backend.asarray(rows), backend.asarray(self.cells[numbers])),
            backend.asarray(columns),
        )
        return backend.reshape(enlarged, (len(numbers), *self.size, 1))

    def _weights(self, axis: int, numbers: npt.NDArray[np.int64]) -> Floats:
        """Return how much of each cell a pixel gets, [n, side, s]."""
        side, n_cells = self.size[axis], self.cells.shape[1]
        enlarged = (n_cells + 1) * _cell(side, n_cells)
        at = np.clip((np.arange(enlarged) + 0.5) * n_cells / enlarged - 0.5, 0, n_cells - 1)
        weights = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(n_cells)))
        pixels = self.shifts[numbers, axis, None] + np.arange(side)
        return np.asarray(weights[pixels], dtype=np.float32)


def _cell(side: int, grid_size: int) -> int:
    return -(-side // grid_size)


@dataclass(frozen=True)
class RISE(Explainer):
    """RISE: sum over N masks of (score(b + M (x - b)) - mean score) M / (N p), [H, W].

    A mask M is a grid of s x s cells, open with probability p, enlarged bilinearly to (s + 1) cells
    and shifted at random. With the baseline b "zeros" the picture seen through it is the published
    x M. The published sum has no mean score in it, and here is what ``centred=False`` gives: it was
    made for probabilities, most of which are zero. A score with a constant part adds that constant
    to every pixel, and the noise of its product with the masks; subtracting the mean takes both
    away and changes no difference between pixels that holds in expectation. Signed, in units of
    the score. Needs no gradients: it applies to every model that predicts.

    Diagnostics: ``reliability``, the correlation between the map of every second mask and that of
    the others, stepped up to all of them; below about 0.9, use more masks.

    References
    ----------
    Petsiuk et al. 2018, arXiv:1806.07421.
    """

    name: ClassVar[str] = "rise"
    title: ClassVar[str] = "RISE"
    family: ClassVar[str] = "perturbation"
    reference: ClassVar[str] = "Petsiuk et al. 2018, arXiv:1806.07421"
    needs: ClassVar[tuple[str, ...]] = ()

    n_masks: int = parameter(
        1000,
        "How many masks; the paper takes 4000 to 8000.",
        minimum=2,
        maximum=20000,
        label="Masks",
    )
    grid_size: int = parameter(
        7, "Cells on each side of a mask.", minimum=2, maximum=64, label="Grid"
    )
    p: float = parameter(
        0.5,
        "Probability that a cell is open.",
        minimum=0.01,
        maximum=0.99,
        step=0.05,
        label="Open cells",
    )
    baseline: Any = parameter("zeros", "What is seen where a mask is closed.", choices=BASELINES)
    centred: bool = parameter(
        True, "Whether the mean score is subtracted first; the published formula does not."
    )
    seed: int = parameter(0, "Seed of the masks.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A forward for every mask, and one for the whole picture."""
        return Cost(self.n_masks + 1, 0)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Add masks chunk by chunk; they do not depend on the chunk size."""
        yield Progress(0, self.n_masks)
        backend, n = model.backend, self.n_masks
        size = (image.values.shape[0], image.values.shape[1])
        grids = RandomGrids.draw(n, self.grid_size, self.p, size, self.seed)
        hiding = Hiding(model, image, baseline_values(model, image, self.baseline))
        score = whole_score(model, image.values, target)
        halves = [_Sums(backend, size) for _ in range(2)]
        for start, stop in chunks(n, model.chunk_size):
            numbers = np.arange(start, stop)
            # Halves by the mask's number, whatever the chunk, and each in one piece: no copies.
            even, odd = numbers[numbers % 2 == 0], numbers[numbers % 2 == 1]
            masks = grids.masks(np.concatenate([even, odd]), backend)
            scores = hiding.scores(masks, target)
            halves[0].add(masks[: len(even)], scores[: len(even)])
            halves[1].add(masks[len(even) :], scores[len(even) :])
            mean = sum(sums.scores for sums in halves) / stop if self.centred else 0.0
            maps = [sums.map(self.p, mean) for sums in halves if sums.n]
            counts = [sums.n for sums in halves if sums.n]
            values = np.average(maps, axis=0, weights=counts).astype(np.float32)
            found = Attribution(values, score, {"reliability": reliability(maps)})
            if stop < n:
                yield Progress(stop, n, found)
        return found


class _Sums:
    """Sums over masks, on the device: of the masks, and of each times its score."""

    def __init__(self, backend: Backend, size: tuple[int, int]) -> None:
        self._backend = backend
        self._masks = self._weighted = backend.asarray(np.zeros(size, dtype=np.float32))
        self.scores = 0.0
        self.n = 0

    def add(self, masks: Array, scores: Array) -> None:
        """Add masks [N, H, W, 1] and their scores [N]."""
        if not masks.shape[0]:
            return
        backend = self._backend
        self.n += int(masks.shape[0])
        self.scores += float(backend.to_numpy(scores).sum(dtype=np.float64))
        self._masks = self._masks + backend.sum(masks, (0, 3))
        weighted = masks * backend.reshape(scores, (-1, 1, 1, 1))
        self._weighted = self._weighted + backend.sum(weighted, (0, 3))

    def map(self, p: float, mean: float) -> Floats:
        """Return the sum of (score - mean) times the mask / (N p), [H, W]."""
        weighted = self._backend.to_numpy(self._weighted).astype(np.float64)
        total = weighted - mean * self._backend.to_numpy(self._masks)
        return np.asarray(total / (self.n * p), dtype=np.float32)


def reliability(maps: Sequence[Floats]) -> float | None:
    """Return the correlation that maps of as many other masks would have with this one.

    Two maps of half the masks each, stepped up to all (Spearman-Brown); None where one is flat.
    """
    if len(maps) < 2 or min(np.ptp(one) for one in maps) == 0:
        return None
    correlation = float(np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1])
    return 2 * correlation / (1 + correlation) if correlation > 0 else correlation
