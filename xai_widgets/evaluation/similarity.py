"""How alike two maps are: rank correlation and structural similarity."""

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import MetricError, near_matches

SIMILARITIES = ("spearman", "ssim")
SIGNS = ("signed", "absolute")


def ranks(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return the centred ranks of a map, as a vector of length 1; zeros where it is constant."""
    from scipy.stats import rankdata

    ranked = np.asarray(rankdata(np.asarray(values).ravel()), dtype=np.float64)
    ranked -= ranked.mean()
    norm = float(np.sqrt((ranked**2).sum()))
    return ranked / norm if norm else ranked


def spearman(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Return the rank correlation of two maps, -1..1; 0 where one is constant and ranks nothing."""
    return float((ranks(one) * ranks(other)).sum())


def ssim(one: npt.ArrayLike, other: npt.ArrayLike) -> float:
    """Return the structural similarity of two maps [H, W], each scaled to a largest magnitude of 1.

    References
    ----------
    Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    from skimage.metrics import structural_similarity

    first, second = (_scaled(np.asarray(values, dtype=np.float64)) for values in (one, other))
    span = 2.0 if min(first.min(), second.min()) < 0 else 1.0
    side = min(7, *(length - 1 + length % 2 for length in first.shape))
    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            first, second, data_range=span, win_size=side
        )
    )


def similarity(one: npt.ArrayLike, other: npt.ArrayLike, kind: str, sign: str = "signed") -> float:
    """Return how alike two maps [H, W] are.

    Parameters
    ----------
    kind
        "spearman" or "ssim".
    sign
        "signed", or "absolute" to compare magnitudes.

    Raises
    ------
    MetricError
        If there is no such kind or sign.
    """
    if kind not in SIMILARITIES:
        raise MetricError(
            f"There is no similarity {kind!r}.{near_matches(str(kind), SIMILARITIES)}"
        )
    if sign not in SIGNS:
        raise MetricError(f"sign cannot be {sign!r} here: use signed or absolute.")
    pair = [np.abs(values) if sign == "absolute" else np.asarray(values) for values in (one, other)]
    return spearman(*pair) if kind == "spearman" else ssim(*pair)


def _scaled(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    top = np.abs(values).max()
    return values / top if top else values
