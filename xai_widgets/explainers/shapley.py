"""Shapley values of superpixels, by random orders in pairs of opposites."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MethodError
from xai_widgets.explainers.base import (
    Attribution,
    Cost,
    Explainer,
    Progress,
    Stream,
    completeness,
    parameter,
)
from xai_widgets.explainers.baselines import BASELINES, baseline_values
from xai_widgets.explainers.masking import Hiding, chunks
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target
from xai_widgets.superpixels import input_superpixels

if TYPE_CHECKING:
    from xai_widgets.explanation import Explanation

Floats = npt.NDArray[np.float64]
Order = npt.NDArray[np.intp]


class PermutationGame:
    """The coalitions that random orders of K players go through, and what follows from their worth.

    Parameters
    ----------
    n_players
        K.
    n_pairs
        Random orders; each is followed by its reverse.
    seed
        Of the orders.
    """

    def __init__(self, n_players: int, n_pairs: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        drawn = [generator.permutation(n_players) for _ in range(n_pairs)]
        self.orders = [order for one in drawn for order in (one, one[::-1])]
        self.n_players = n_players
        # Nobody and everybody are the same coalition in each order, and come first, once.
        self.n_coalitions = 2 + len(self.orders) * (n_players - 1)
        self._worth = np.full((len(self.orders), n_players + 1), np.nan)

    def coalitions(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """Return some of the coalitions, [stop - start, K], true for members."""
        members = np.zeros((stop - start, self.n_players), dtype=np.bool_)
        for row, (order, size) in zip(members, self._places(start, stop), strict=True):
            row[self.orders[order][:size]] = True
        return members

    def record(self, start: int, worth: npt.NDArray[Any]) -> None:
        """Take down what coalitions are worth, from number ``start`` on."""
        for value, (order, size) in zip(
            worth, self._places(start, start + len(worth)), strict=True
        ):
            chosen = slice(None) if size in (0, self.n_players) else order
            self._worth[chosen, size] = value

    def _places(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        for number in range(start, stop):
            if number < 2:
                yield 0, (0, self.n_players)[number]
            else:
                order, before = divmod(number - 2, self.n_players - 1)
                yield order, before + 1

    @property
    def pairs_done(self) -> int:
        """How many pairs of opposite orders are complete."""
        orders = int((~np.isnan(self._worth)).all(axis=1).sum())
        return orders // 2

    def values(self) -> tuple[Floats, Floats]:
        """Return Shapley values and their standard errors, both [K], from the complete pairs.

        The pairs are independent, the two orders of a pair are not: so the error is that of the
        mean over pairs, NaN for a single one.
        """
        n = self.pairs_done
        gains = np.diff(self._worth[: 2 * n], axis=1)
        by_player = np.empty_like(gains)
        np.put_along_axis(by_player, np.stack(self.orders[: 2 * n]), gains, axis=1)
        pairs = by_player.reshape(n, 2, -1).mean(axis=1)
        errors = (
            pairs.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full(self.n_players, np.nan)
        )
        return pairs.mean(axis=0), errors


@dataclass(frozen=True)
class ShapleySampling(Explainer):
    """Shapley values of superpixels: the mean gain of the score when a superpixel is uncovered.

    The superpixels (SLIC) are uncovered one after the other, in random orders, over a baseline;
    each order is followed by its reverse, which cancels the part of the error that is odd. A pixel
    gets its superpixel's value divided by the superpixel's area, [H, W], so that the map sums to
    f(x) - f(b) whatever the orders were. Needs no gradients: it applies to every model that
    predicts. Which pixels belong together is the segmentation's decision, not the model's.

    Diagnostics: ``shapley_values`` and ``standard_errors``, lists of K numbers in units of the
    score, in the order of the superpixels' labels (`standard_error_map` draws the errors; None
    after a single pair of orders); ``standard_error_relative``, the root mean square of the errors
    relative to that of the values; ``superpixels``, K; ``score_baseline``, f(b); and the
    convergence delta, which is rounding.

    References
    ----------
    Castro et al. 2009, doi:10.1016/j.cor.2008.04.004; Mitchell et al. 2022, arXiv:2104.12199.
    """

    name: ClassVar[str] = "shapley_sampling"
    title: ClassVar[str] = "Shapley sampling"
    family: ClassVar[str] = "shap"
    reference: ClassVar[str] = "Castro et al. 2009, doi:10.1016/j.cor.2008.04.004"
    needs: ClassVar[tuple[str, ...]] = ()

    n_superpixels: int = parameter(
        40, "About how many superpixels.", minimum=1, maximum=1000, label="Superpixels"
    )
    n_samples: int = parameter(
        10,
        "Random orders of the superpixels; each is used forward and in reverse.",
        minimum=1,
        maximum=1000,
        label="Orders",
    )
    baseline: Any = parameter("blur", "What covers a superpixel.", choices=BASELINES)
    seed: int = parameter(0, "Seed of the orders.", minimum=0, maximum=2**31 - 1)

    @property
    def cost(self) -> Cost:
        """A forward for every superpixel in every order and its reverse."""
        return Cost(2 * self.n_samples, 0, per="superpixel")

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Target, layer: str | None
    ) -> Stream:
        """Uncover superpixels chunk by chunk; every complete pair of orders gives a map."""
        labels = input_superpixels(image, self.n_superpixels)
        areas = np.bincount(labels.ravel())
        game = PermutationGame(len(areas), self.n_samples, self.seed)
        backend, total = model.backend, game.n_coalitions
        yield Progress(0, total)
        hiding = Hiding(model, image, baseline_values(model, image, self.baseline, self.seed))
        ends, before = np.zeros(2), 0
        for start, stop in chunks(total, model.chunk_size):
            members = game.coalitions(start, stop).astype(np.float32)
            kept = backend.asarray(members[:, labels][..., None])
            scores = backend.to_numpy(hiding.scores(kept, target)).astype(np.float64)
            game.record(start, scores)
            ends[start : min(stop, 2)] = scores[: max(0, 2 - start)]
            partial = None
            if game.pairs_done > before:
                before = game.pairs_done
                partial = _attribution(*game.values(), labels, areas, ends)
            if stop < total:
                yield Progress(stop, total, partial)
        return _attribution(*game.values(), labels, areas, ends)


def standard_error_map(explanation: "Explanation") -> npt.NDArray[np.float32]:
    """Draw the standard errors of Shapley values where the map has the values.

    Parameters
    ----------
    explanation
        By ``shapley_sampling``.

    Returns
    -------
    float32 [H, W]
        On the model's input grid: each superpixel's error divided by its area, as the values are.

    Raises
    ------
    MethodError
        If the explanation has no standard errors.
    """
    errors = explanation.diagnostics.get("standard_errors")
    if explanation.method != ShapleySampling.name or errors is None:
        raise MethodError(
            f"{explanation.title} has no standard errors to draw: use shapley_sampling with two "
            "orders or more."
        )
    n_superpixels = explanation.provenance["parameters"]["n_superpixels"]
    labels = input_superpixels(explanation.image, n_superpixels)
    return (np.asarray(errors) / np.bincount(labels.ravel())).astype(np.float32)[labels]


def _attribution(
    values: Floats, errors: Floats, labels: Order, areas: npt.NDArray[np.intp], ends: Floats
) -> Attribution:
    density = (values / areas).astype(np.float32)[labels]
    known = bool(np.isfinite(errors).all())
    size = float(np.sqrt((values**2).mean()))
    relative = float(np.sqrt((errors**2).mean())) / size if known and size else None
    return Attribution(
        density,
        float(ends[1]),
        {
            "shapley_values": values.tolist(),
            "standard_errors": errors.tolist() if known else None,
            "standard_error_relative": relative,
            "superpixels": len(values),
            **completeness(density, float(ends[1]), float(ends[0])),
        },
    )
