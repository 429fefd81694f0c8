"""What is judged: methods by name with their parameters, and how one explains a changed image."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from xai_widgets.errors import MethodError
from xai_widgets.evaluation.base import Explain
from xai_widgets.evaluation.normalise import Map
from xai_widgets.explainers.base import Explainer, build
from xai_widgets.explainers.registry import ENTRY_POINT_GROUP, find
from xai_widgets.explainers.run import explain_stream
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

DISTRIBUTING = frozenset(
    {
        "input_x_gradient",
        "integrated_gradients",
        "expected_gradients",
        "blur_ig",
        "guided_ig",
        "gradient_shap",
        "deep_shap",
        "shapley_sampling",
    }
)
"""Methods whose maps are in units of the score and sum to a difference of scores."""


@dataclass(frozen=True)
class Subject:
    """A method with its parameters, under the name that the records show.

    Attributes
    ----------
    label
        In the records; the method's name unless told otherwise.
    method
        A name out of `methods`.
    layer
        For methods that look at one.
    parameters
        Of the method.
    """

    label: str
    method: str
    layer: Any = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def stream(
        self, model: ExplainableModel, image: PreparedImage, target: Any
    ) -> Generator[None, None, Explanation]:
        """Explain in steps between which the work can be stopped."""
        stream = explain_stream(
            model, image, self.method, target, self.layer, dict(self.parameters), partials=False
        )
        try:
            while True:
                next(stream)
                yield
        except StopIteration as stop:
            result: Explanation = stop.value
            return result
        finally:
            stream.close()

    def explainer(self, model: ExplainableModel, target: Target) -> Explain:
        """Return what explains another image, or the same one on other weights, at once."""

        def explain(image: PreparedImage) -> Map:
            stream = self.stream(model, image, target)
            while True:
                try:
                    next(stream)
                except StopIteration as stop:
                    attribution: Map = stop.value.attribution
                    return attribution

        return explain


def subjects(methods: Any) -> list[Subject]:
    """Return the methods that a user named.

    Parameters
    ----------
    methods
        A name, an `Explainer` of a registered class, a pair (name, parameters), a sequence of
        these, or a mapping from labels to them. "layer" among the parameters is the layer.

    Raises
    ------
    MethodError
        If a method or parameter does not exist, a label is used twice, or an `Explainer` is of a
        class that is not registered.
    """
    if isinstance(methods, Mapping):
        found = [_subject(value, str(label)) for label, value in methods.items()]
    elif isinstance(methods, str | Explainer) or _is_pair(methods):
        found = [_subject(methods)]
    elif isinstance(methods, Sequence):
        found = [_subject(value) for value in methods]
    else:
        raise MethodError(
            f"Methods were given as {type(methods).__name__}: give names out of methods(model)."
        )
    labels = [subject.label for subject in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if not found or twice is not None:
        raise MethodError(
            "The list of methods is empty: give at least one."
            if twice is None
            else f"{twice!r} is among the methods twice: give a mapping from labels to methods."
        )
    return found


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 2
        and isinstance(value[0], str)
        and isinstance(value[1], Mapping)
    )


def _is_registered(explainer: Explainer) -> bool:
    try:
        return find(explainer.name) is type(explainer)
    except MethodError:
        return False


def _subject(value: Any, label: str | None = None) -> Subject:
    if isinstance(value, Explainer):
        if not _is_registered(value):
            raise MethodError(
                f"{type(value).__name__} is not registered as {value.name!r}: name it in a package "
                f"under the entry point {ENTRY_POINT_GROUP!r}, so that every tool finds it by name."
            )
        parameters = {entry.name: getattr(value, entry.name) for entry in fields(value)}
        build(type(value), parameters)
        return Subject(label or value.name, value.name, None, parameters)
    name, parameters = value if _is_pair(value) else (value, {})
    if not isinstance(name, str):
        raise MethodError(
            f"{name!r} is no method: give a name out of methods(model), an Explainer, or a pair "
            "of a name and its parameters."
        )
    own = {key: given for key, given in parameters.items() if key != "layer"}
    build(find(name), own)
    return Subject(label or name, name, parameters.get("layer"), own)
