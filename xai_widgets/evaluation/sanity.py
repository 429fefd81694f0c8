"""Whether a map depends on what the model learned: randomised weights, randomised labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from xai_widgets.evaluation.base import Case, Metric, Steps, channel_sum
from xai_widgets.evaluation.cascade import MODES, cascade_steps
from xai_widgets.evaluation.checks import Check, choice, flag, whole
from xai_widgets.evaluation.similarity import SIGNS, SIMILARITIES, similarity


@dataclass(frozen=True)
class _Sanity(Metric):
    """Similarity of the map to one that cannot know anything: the lower, the better."""

    family: ClassVar[str] = "sanity"
    direction: ClassVar[str] = "lower"
    minimum: ClassVar[float | None] = -1.0
    maximum: ClassVar[float | None] = 1.0
    reference: ClassVar[str] = "Adebayo et al. 2018, arXiv:1810.03292"


@dataclass(frozen=True)
class WeightRandomisation(_Sanity):
    """Mean similarity of the map with those after stages of the network were randomised.

    The unrandomised point, where any method has 1, is left out of the mean.

    Attributes
    ----------
    mode
        "cascade" (from the head down, each with all above it) or "independent" (one at a time).
    n_stages
        How many stages from the head; 0 for all.
    last
        Whether only the map after the last of these stages counts, instead of the mean.
    kind
        "spearman" or "ssim".
    sign
        "signed" or "absolute".
    n_seeds
        Draws of the weights.

    References
    ----------
    Adebayo et al. 2018, arXiv:1810.03292.
    """

    name: ClassVar[str] = "weight_randomisation"
    title: ClassVar[str] = "Weight randomisation"
    meaning: ClassVar[str] = "another network gives another map, so it shows what this one learned"
    failing: ClassVar[str] = (
        "another network gives the same map, so it shows the picture more than what was learned"
    )
    needs: ClassVar[tuple[str, ...]] = ("model", "method")
    checks: ClassVar[Mapping[str, Check]] = {
        "mode": choice(MODES),
        "n_stages": whole(0),
        "last": flag,
        "kind": choice(SIMILARITIES),
        "sign": choice(SIGNS),
        "n_seeds": whole(1),
    }

    mode: str = "cascade"
    n_stages: int = 2
    last: bool = True
    kind: str = "spearman"
    sign: str = "signed"
    n_seeds: int = 1

    def steps(self, case: Case) -> Steps:
        """Return the mean similarity over stages and seeds."""
        found = []
        for seed in range(case.seed, case.seed + self.n_seeds):
            curve = ((self.kind, self.sign),)
            cascade = yield from cascade_steps(
                case, self.mode, self.n_stages or None, curve, seed, only_last=self.last
            )
            values = cascade.similarity[f"{self.kind} {self.sign}"]
            found.append(float(np.mean(values)))
        return float(np.mean(found))


@dataclass(frozen=True)
class DataRandomisation(_Sanity):
    """Similarity of the map with that of a network of the same kind, trained on random labels.

    Such a network cannot be made from a finished one: give it as ``random_label_model``.

    Attributes
    ----------
    kind
        "spearman" or "ssim".
    sign
        "signed" or "absolute".

    References
    ----------
    Adebayo et al. 2018, arXiv:1810.03292.
    """

    name: ClassVar[str] = "data_randomisation"
    title: ClassVar[str] = "Data randomisation"
    meaning: ClassVar[str] = "a network that learned random labels gives another map"
    failing: ClassVar[str] = "a network that learned random labels gives the same map"
    needs: ClassVar[tuple[str, ...]] = ("random_label_model",)
    checks: ClassVar[Mapping[str, Check]] = {"kind": choice(SIMILARITIES), "sign": choice(SIGNS)}

    kind: str = "spearman"
    sign: str = "signed"

    def score(self, case: Case) -> float:
        """Return the similarity."""
        assert case.random_label_model is not None
        _, explain = case.random_label_model
        return similarity(case.signed, channel_sum(explain(case.image)), self.kind, self.sign)
