"""Concept activation vectors: linear classifiers that see examples by their inner products alone.

A classifier's normal vector lies in the span of its examples, v = sum_i c_i x_i, so that fitting
needs their kernel K = X X^T [N, N] and not the features [N, D]: 100,000 flattened activations cost
what 100 pooled ones cost, once the kernel is there, and many fits share it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ConceptError, DependencyError, near_matches

Array = npt.NDArray[np.float64]
Features = npt.NDArray[np.floating[Any]]

CLASSIFIERS = {
    "ridge": "Ridge regression (LDA with shrinkage)",
    "mean_difference": "Difference of means",
    "logistic": "Logistic regression",
    "svm": "Linear support vector machine",
}
"""Names for people of the classifiers whose normal vector can be the CAV; the first is usual."""

SHRINKAGE = 0.01
"""Ridge: lambda as a share of the trace of the covariance, whatever the number of features."""


@dataclass(frozen=True, eq=False)
class Fits:
    """B linear classifiers of N examples each.

    Attributes
    ----------
    coefficients
        float64 [B, N]: v = sum_i coefficients_i x_i has length one; each row sums to zero, so that
        it does not matter where the origin is. Zeros where the examples are all the same.
    intercepts
        float64 [B]: an example x is called positive where x . v + intercept > 0.
    """

    coefficients: Array
    intercepts: Array


def check_classifier(name: str) -> str:
    """Return the name of a classifier that exists and can be used.

    Raises
    ------
    ConceptError
        If there is no such classifier, with near matches.
    DependencyError
        If scikit-learn is needed and missing.
    """
    if name not in CLASSIFIERS:
        raise ConceptError(
            f"There is no classifier {name!r}.{near_matches(str(name), CLASSIFIERS)}"
        )
    if name in ("logistic", "svm"):
        _estimator(name, 1)
    return name


def fit(kernels: npt.NDArray[Any], n_positive: int, classifier: str = "ridge") -> Fits:
    """Separate the first ``n_positive`` of N examples from the others, B times.

    Parameters
    ----------
    kernels
        [B, N, N]: inner products of the examples.
    n_positive
        How many of the N are positive; they come first.
    classifier
        "ridge": v ~ (S + lambda I)^-1 (mean of the positives - mean of the others) with the
        covariance S of all, which is Fisher's linear discriminant with shrinkage; lambda is
        `SHRINKAGE` times the trace of S. "mean_difference": v ~ the difference of the means.
        "logistic", "svm": scikit-learn's, with C = 1 on features scaled to unit variance in all
        and classes weighted equally; fitted in the at most N dimensions that the examples span,
        which changes nothing since their penalty is that of the length of v.

    Notes
    -----
    Kim et al. 2018, "Interpretability Beyond Feature Attribution: Quantitative Testing with
    Concept Activation Vectors (TCAV)", arXiv:1711.11279, take v from any linear classifier.
    """
    kernels = np.asarray(kernels, np.float64)
    n = kernels.shape[-1]
    means = kernels.mean(axis=-1, keepdims=True)
    centred = kernels - means - means.swapaxes(-1, -2) + means.mean(axis=-2, keepdims=True)
    positive = np.arange(n) < n_positive
    contrast = np.where(positive, 1 / n_positive, -1 / (n - n_positive))
    if classifier == "mean_difference":
        raw = np.broadcast_to(contrast, kernels.shape[:-1])
    elif classifier == "ridge":
        traces = np.trace(centred, axis1=-2, axis2=-1)
        penalty = np.where(traces > 0, SHRINKAGE * traces, 1.0)
        matrix = centred + penalty[:, None, None] * np.eye(n)
        raw = np.linalg.solve(matrix, np.broadcast_to(contrast[:, None], (*kernels.shape[:-1], 1)))
        raw = raw[..., 0]
    else:
        solved = [_fit_one(kernel, positive, classifier) for kernel in centred]
        raw = np.stack([coefficients for coefficients, _ in solved])
    raw = raw - raw.mean(axis=-1, keepdims=True)
    squares = np.einsum("bi,bij,bj->b", raw, centred, raw)
    scale = np.einsum("bii->b", kernels) * np.square(raw).sum(axis=-1)
    lengths = np.sqrt(np.where(squares > 1e-14 * scale, squares, np.inf))
    coefficients = raw / lengths[:, None]
    if classifier in ("ridge", "mean_difference"):
        projections = np.einsum("bij,bj->bi", kernels, coefficients)
        middle = projections[:, positive].mean(axis=1) + projections[:, ~positive].mean(axis=1)
        return Fits(coefficients, -middle / 2)
    own = np.array([intercept for _, intercept in solved]) / lengths
    return Fits(coefficients, own - np.einsum("bi,bi->b", means[..., 0], coefficients))


def _fit_one(centred: Array, positive: npt.NDArray[np.bool_], name: str) -> tuple[Array, float]:
    """Return coefficients and intercept, before scaling, of a classifier of scikit-learn."""
    values, vectors = np.linalg.eigh(centred)
    kept = values > max(1e-10 * values[-1], 0.0)
    if not kept.any():
        return np.zeros(len(centred)), 0.0
    roots = np.sqrt(values[kept])
    scale = np.sqrt(len(centred) / values[kept].sum())
    estimator = _estimator(name, len(centred))
    estimator.fit(vectors[:, kept] * roots * scale, positive)
    coefficients = vectors[:, kept] @ (estimator.coef_[0] * scale / roots)
    return coefficients, float(estimator.intercept_[0])


def _estimator(name: str, n: int) -> Any:
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import SVC
    except ImportError as error:
        raise DependencyError(
            f'The classifier "{name}" needs scikit-learn, which is not installed: install it with '
            '`pip install "xai-widgets[concepts]"`, or choose "ridge" or "mean_difference".'
        ) from error
    if name == "logistic":
        return LogisticRegression(class_weight="balanced", max_iter=200)
    return SVC(kernel="linear", class_weight="balanced")


def held_out_accuracy(
    kernels: npt.NDArray[Any],
    n_positive: int,
    folds: npt.NDArray[np.intp],
    classifier: str = "ridge",
) -> float:
    """Return the share of examples classified rightly by a fit that has not seen them.

    Parameters
    ----------
    kernels, n_positive, classifier
        As in `fit`; the accuracy is the mean over the B.
    folds
        [N]: which fold each example is left out in.

    Returns
    -------
    float
        0..1, positives and others weighted equally: chance is 0.5.
    """
    n = kernels.shape[-1]
    positive = np.arange(n) < n_positive
    right = np.zeros(n)
    for fold in np.unique(folds):
        test, train = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        fits = fit(kernels[:, train[:, None], train], int(positive[train].sum()), classifier)
        decisions = np.einsum("bij,bj->bi", kernels[:, test[:, None], train], fits.coefficients)
        # On the boundary nothing is known, which is worth one half.
        signs = np.sign(decisions + fits.intercepts[:, None]) * np.where(positive[test], 1, -1)
        right[test] = (0.5 + 0.5 * signs).mean(axis=0)
    return float((right[positive].mean() + right[~positive].mean()) / 2)


def stratified_folds(
    n_positive: int, n_other: int, n_folds: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Deal positives and others into folds of equal size, [n_positive + n_other]."""
    parts = [rng.permutation(np.arange(n) % n_folds) for n in (n_positive, n_other)]
    return np.concatenate(parts).astype(np.intp)


def products(
    left: Features, right: Features | None = None, origin: npt.NDArray[Any] | None = None
) -> Array:
    """Return inner products of the rows of two arrays of features, or of one with itself.

    Parameters
    ----------
    left, right
        [N, D] and [M, D], float32.
    origin
        [D]: subtracted from all rows beforehand, so that float32 is precise enough; rows are
        taken in slices of D, so that no copy of the features is made.

    Returns
    -------
    float64 [N, M], or [N, N] without ``right``
    """
    found = np.zeros((len(left), len(left if right is None else right)))
    for start in range(0, left.shape[1], 16384):
        part = slice(start, start + 16384)
        rows, columns = left[:, part], None if right is None else right[:, part]
        if origin is not None:
            rows = rows - origin[part]
            columns = None if columns is None else columns - origin[part]
        found += rows @ (rows if columns is None else columns).T
    return found


def cav(positive: Features, others: Features, classifier: str = "ridge") -> npt.NDArray[np.float32]:
    """Return the concept activation vector of examples against others.

    Parameters
    ----------
    positive, others
        [N, D] and [M, D] features.
    classifier
        One of `CLASSIFIERS`.

    Returns
    -------
    float32 [D]
        Of length one, pointing at the positives; zeros where all examples are the same.

    Raises
    ------
    ConceptError
        If a set is empty, or there is no such classifier.
    """
    check_classifier(classifier)
    if not len(positive) or not len(others):
        raise ConceptError("A CAV needs examples on both sides: one of the two sets is empty.")
    rows = np.concatenate([positive, others]).astype(np.float64)
    rows = rows - rows.mean(axis=0)
    found = fit((rows @ rows.T)[None], len(positive), classifier).coefficients[0]
    return np.asarray(found @ rows, np.float32)
