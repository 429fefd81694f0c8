"""Whether methods agree with each other: rank correlation between their maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MapError
from xai_widgets.evaluation.base import Case, Metric, channel_sum
from xai_widgets.evaluation.checks import Check, choice
from xai_widgets.evaluation.similarity import SIGNS, SIMILARITIES, ranks, similarity


def agreement_matrix(
    maps: Sequence[npt.ArrayLike],
    kind: str = "spearman",
    sign: str = "signed",
    have_sign: Sequence[bool] | None = None,
) -> npt.NDArray[np.float64]:
    """Return how alike each two of M maps [H, W] are, [M, M]; the diagonal is 1.

    Parameters
    ----------
    kind, sign
        As in `similarity`.
    have_sign
        One a map; a pair of which one holds magnitudes alone is compared by magnitudes, whatever
        ``sign`` says, as evidence against the target cannot agree with it. None: all have one.

    Raises
    ------
    MapError
        If the maps differ in shape.
    """
    arrays = [np.asarray(values) for values in maps]
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        raise MapError(
            f"The maps have shapes {sorted(map(list, shapes))}: give maps of one shape to compare."
        )
    signed = [sign == "signed"] * len(arrays) if have_sign is None else list(have_sign)
    found = np.eye(len(arrays))
    ranked: dict[tuple[int, str], npt.NDArray[np.float64]] = {}

    def ranks_of(at: int, how: str) -> npt.NDArray[np.float64]:
        if (at, how) not in ranked:  # each map is ranked once
            ranked[at, how] = ranks(np.abs(arrays[at]) if how == "absolute" else arrays[at])
        return ranked[at, how]

    for i, j in combinations(range(len(arrays)), 2):
        how = "absolute" if sign == "signed" and not (signed[i] and signed[j]) else sign
        if kind == "spearman" and sign in SIGNS:
            found[i, j] = found[j, i] = float(np.dot(ranks_of(i, how), ranks_of(j, how)))
        else:
            found[i, j] = found[j, i] = similarity(arrays[i], arrays[j], kind, how)
    return found


def mean_agreement(matrices: Sequence[npt.ArrayLike]) -> npt.NDArray[np.float64]:
    """Return the mean of matrices [M, M] over those pictures that have both maps; NaN where none.

    Parameters
    ----------
    matrices
        One a picture, NaN where a map is missing.
    """
    stacked = np.asarray(matrices, dtype=np.float64)
    known = np.isfinite(stacked)
    total = np.where(known, stacked, 0.0).sum(axis=0)
    n = known.sum(axis=0)
    return np.where(n > 0, total / np.maximum(n, 1), np.nan)


@dataclass(frozen=True)
class Agreement(Metric):
    """Mean rank correlation of a map with those of the other methods on the same picture.

    High agreement is no proof: methods of one family share their mistakes.

    Attributes
    ----------
    kind
        "spearman" or "ssim".
    sign
        "signed" or "absolute".

    References
    ----------
    Krishna et al. 2022, arXiv:2202.01602.
    """

    name: ClassVar[str] = "agreement"
    title: ClassVar[str] = "Agreement"
    family: ClassVar[str] = "agreement"
    direction: ClassVar[str] = "higher"
    minimum: ClassVar[float | None] = -1.0
    maximum: ClassVar[float | None] = 1.0
    meaning: ClassVar[str] = "other methods rank the pixels in the same order; no proof of either"
    judges: ClassVar[bool] = False
    reference: ClassVar[str] = "Krishna et al. 2022, arXiv:2202.01602"
    needs: ClassVar[tuple[str, ...]] = ("others",)
    checks: ClassVar[Mapping[str, Check]] = {"kind": choice(SIMILARITIES), "sign": choice(SIGNS)}

    kind: str = "spearman"
    sign: str = "absolute"

    def score(self, case: Case) -> float:
        """Return the mean over the other methods."""
        others = [channel_sum(values) for values in case.others.values()]
        alike = [similarity(case.signed, other, self.kind, self.sign) for other in others]
        return float(np.mean(alike))
