"""How a map's values are distributed before and after it is normalised, as data and as a figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.evaluation.complexity import entropy
from xai_widgets.evaluation.normalise import Map, Normalisation, inside_picture
from xai_widgets.explanation import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_BINS = 64


@dataclass(frozen=True, eq=False)
class Distribution:
    """Two histograms of one map, both on magnitudes as a share of the largest.

    Attributes
    ----------
    edges
        [B + 1] edges of the bins, 0..1.
    before, after
        [B] shares of the pixels in each bin; each sums to one.
    pedestal
        What was subtracted, as a share of the largest magnitude.
    zeros_before, zeros_after
        Share of pixels that are exactly zero.
    entropy_before, entropy_after
        In nats; None for a map of zeros.
    """

    edges: npt.NDArray[np.float64] = field(repr=False)
    before: npt.NDArray[np.float64] = field(repr=False)
    after: npt.NDArray[np.float64] = field(repr=False)
    pedestal: float
    zeros_before: float
    zeros_after: float
    entropy_before: float | None
    entropy_after: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON-ready values."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in vars(self).items()
        }

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw both histograms, with the pedestal as a line."""
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(5, 3), layout="constrained").subplots()
        for name, shares, colour in (
            ("before", self.before, "0.6"),
            ("after", self.after, "tab:blue"),
        ):
            ax.stairs(shares, self.edges, fill=name == "before", label=name, color=colour)
        ax.axvline(self.pedestal, linestyle=":", color="0.2", label="pedestal")
        ax.set_yscale("log")
        ax.set_xlabel("magnitude / largest magnitude")
        ax.set_ylabel("share of pixels")
        ax.legend()
        return ax


def distribution(
    heatmap: Map | Explanation, steps: Normalisation | None = None, bins: int = N_BINS
) -> Distribution:
    """Return how the values of one map are distributed before and after normalisation.

    Parameters
    ----------
    heatmap
        [H, W], [H, W, C] or an `Explanation`.
    steps
        The normalisation; None for the default one.
    bins
        How many bins the range 0..1 has.
    """
    steps = steps or Normalisation()
    values: Any = heatmap
    inside = None
    if isinstance(heatmap, Explanation):
        values = heatmap.attribution
        inside = inside_picture(heatmap.image, steps.size or values.shape[:2])
    after = np.abs(steps(values, inside))
    before = np.abs(steps.reduced(values))
    if inside is not None:
        after, before = after[inside], before[inside]
    top = float(before.max()) or 1.0
    quantile = steps.baseline_quantile
    edges = np.linspace(0, 1, bins + 1)
    return Distribution(
        edges=edges,
        before=np.histogram(before / top, edges)[0] / before.size,
        after=np.histogram(after, edges)[0] / after.size,
        pedestal=0.0 if quantile is None else float(np.quantile(before, quantile)) / top,
        zeros_before=float((before == 0).mean()),
        zeros_after=float((after == 0).mean()),
        entropy_before=entropy(before) if before.any() else None,
        entropy_after=entropy(after) if after.any() else None,
    )
