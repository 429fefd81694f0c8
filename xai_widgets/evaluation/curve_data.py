"""Curves and cascades of one explanation as data, for players that scrub them."""

from typing import Any

from xai_widgets.evaluation.base import Case, check_attribution, drain
from xai_widgets.evaluation.cascade import Cascade, cascade_steps
from xai_widgets.evaluation.checks import whole
from xai_widgets.evaluation.controls import control_case
from xai_widgets.evaluation.curves import Curve, curve_steps
from xai_widgets.evaluation.subjects import Subject, subjects
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.loading import load


def curve(
    model: Any,
    explanation: Explanation,
    kind: str = "deletion",
    n_steps: int = 100,
    fill: Any = "mean",
    order: str = "signed",
    seed: int = 0,
) -> Curve:
    """Remove or reveal pixels in order of importance, and note what the model says.

    Parameters
    ----------
    model
        What was explained.
    explanation
        Whose map ranks the pixels.
    kind
        "deletion" or "insertion".
    n_steps
        Steps; one forward pass each, and one for the start.
    fill
        What pixels are removed to, or revealed from: any baseline.
    order
        "signed" or "absolute".
    seed
        Of ties, and of the fill-in "noise".
    """
    case = case_of(load(model), explanation, seed)
    found: Curve = drain(curve_steps(case, kind, n_steps, fill, order))
    return found


def random_curve(model: Any, explanation: Explanation, seed: int = 0, **options: Any) -> Curve:
    """Return the same curve with the pixels in random order: the control; options as in `curve`."""
    case = control_case("random", case_of(load(model), explanation, seed))
    kind = options.pop("kind", "deletion")
    found: Curve = drain(curve_steps(case, kind, **{"fill": "mean", **options}))
    return found


def cascade(
    model: Any,
    image: Any,
    method: Any,
    target: Any = None,
    mode: str = "cascade",
    n_stages: int | None = None,
    seed: int = 0,
) -> Cascade:
    """Explain one picture while the stages of the network are randomised, from the head down.

    Parameters
    ----------
    model, image, target
        As in `explain`.
    method
        As in `evaluate`, one.
    mode
        "cascade" or "independent".
    n_stages
        How many; None for all.
    seed
        Of the weights.
    """
    loaded = load(model)
    subject: Subject = subjects(method)[0]
    explanation: Explanation = drain(subject.stream(loaded, loaded.prepare(image), target))
    case = case_of(loaded, explanation, seed, subject)
    found: Cascade = drain(cascade_steps(case, mode, n_stages, seed=seed))
    return found


def case_of(
    model: ExplainableModel, explanation: Explanation, seed: int = 0, subject: Subject | None = None
) -> Case:
    """Return a finished explanation as a case, with what explains it again if there is a method."""
    return Case(
        image=explanation.image,
        attribution=check_attribution(explanation.attribution, explanation.image),
        method=explanation.method,
        model=model,
        target=explanation.target,
        explain=None if subject is None else subject.explainer(model, explanation.target),
        diagnostics=explanation.diagnostics,
        seed=whole(0)("seed", seed),
    )
