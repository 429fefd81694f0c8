"""What a TCAV run is asked to do, checked once, with a sentence for each thing that is wrong."""

from dataclasses import dataclass
from numbers import Real

from xai_widgets.concepts.cav import check_classifier
from xai_widgets.errors import ConceptError, near_matches

AGAINST = ("random", "others")
MIN_EXAMPLES = 5
"""Fewer examples than this cannot be held out five times."""
MIN_POOL = 10
"""Fewer random pictures than this say nothing about chance."""


@dataclass(frozen=True)
class Options:
    """How concepts are tested.

    Attributes
    ----------
    classifier
        A name of `xai_widgets.concepts.cav.CLASSIFIERS`.
    pooled
        Mean activations over the positions of a layer, instead of all of them.
    n_random_sets
        How many random sets each concept is compared with.
    n_null
        The least number of pseudo-concepts; more are drawn where Holm's correction needs them.
    against
        "random": the random pool; "others": the other concepts' examples (a relative CAV).
    alpha
        Level of significance, 0 < alpha < 1.
    seed
        The same seed gives the same result.
    quick
        Leave the null out: scores without p.
    """

    classifier: str = "ridge"
    pooled: bool = True
    n_random_sets: int = 10
    n_null: int = 199
    against: str = "random"
    alpha: float = 0.05
    seed: int = 0
    quick: bool = False

    def check(self) -> "Options":
        """Return the options after checking them.

        Raises
        ------
        ConceptError
            If one makes no sense.
        DependencyError
            If the classifier needs scikit-learn, which is missing.
        """
        check_classifier(self.classifier)
        if self.against not in AGAINST:
            raise ConceptError(
                f"Concepts cannot be tested against {self.against!r}."
                f"{near_matches(str(self.against), AGAINST)}"
            )
        alpha: object = self.alpha
        if isinstance(alpha, bool) or not isinstance(alpha, Real) or not 0 < float(alpha) < 1:
            raise ConceptError(
                f"alpha is {self.alpha!r}: give a level of significance between 0 and 1, as 0.05."
            )
        _whole("n_random_sets", self.n_random_sets, 1, 1000)
        _whole("n_null", self.n_null, 19, 100_000)
        _whole("seed", self.seed, 0, 2**63)
        return self


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConceptError(f"{name} is {value!r}: give a whole number from {low} to {high}.")
