"""`explain`: one picture, one method, one result; `explain_stream` is the same in steps."""

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from xai_widgets.errors import LayerError, MethodError, ModelError
from xai_widgets.explainers.base import Attribution, Explainer, Progress, build
from xai_widgets.explainers.fusing import fused_stream
from xai_widgets.explainers.registry import find
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import RegionTarget, Target
from xai_widgets.provenance import origin

ExplanationStream = Generator[Progress | Explanation, None, Explanation]


def explain(
    model: Any,
    image: Any,
    method: str = "integrated_gradients",
    target: Any = None,
    layer: str | Sequence[str] | None = None,
    **parameters: Any,
) -> Explanation:
    """Explain why a model gives a target its score on one image.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    image
        A path, PIL image, array or tensor; see `open_image`.
    method
        A name out of `methods(model)`.
    target
        A class position or label, a `Target` (with ``versus`` for a contrast; a class over a
        region; a layer), a function of the output, or None for the predicted class.
    layer
        For methods that look at a layer; None for the recommended one. Of several, the maps are
        scaled to a maximum of one each and averaged.
    parameters
        Of the method; see its class.

    Returns
    -------
    Explanation

    Raises
    ------
    XaiError
        One sentence that names what was wrong: image, target, layer, method, parameter or model.
    """
    loaded = load(model)
    prepared = loaded.prepare(image)
    stream = explain_stream(loaded, prepared, method, target, layer, parameters, partials=False)
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            result: Explanation = stop.value
            return result


def explain_stream(
    model: ExplainableModel,
    image: PreparedImage,
    method: str,
    target: Any = None,
    layer: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    partials: bool = True,
) -> ExplanationStream:
    """Explain in steps: yields progress and partial explanations, returns the final one.

    Closing the generator between two steps cancels the work and leaves the model as it was. Where
    nobody looks at partial explanations, leave them out: each asks for the hash of all weights.
    """
    started = time.perf_counter()
    explainer = build(find(method), parameters or {})
    reason = model.capabilities.reason(explainer.needs)
    if reason is not None:
        raise MethodError(f"{explainer.title} cannot explain this model. {reason}")
    if not np.isfinite(image.values).all():
        raise ModelError(
            "The model input holds NaN or infinite values: check the preprocessing "
            "(a std of zero?)."
        )
    layers = _layers(model, layer) if explainer.uses_layer else (None,)
    chosen = layers[0] if len(layers) == 1 else tuple(str(name) for name in layers)
    outputs = np.zeros(1, dtype=np.float32)
    if target is None or isinstance(target, RegionTarget):  # only these need the output beforehand
        outputs = predicted_outputs(model, image, method, layers[0])
    resolved = model.resolve_target(target, outputs, image)

    def finished(attribution: Attribution) -> Explanation:
        seconds = time.perf_counter() - started
        return explanation_of(attribution, explainer, model, image, resolved, chosen, seconds)

    if isinstance(chosen, tuple):
        stream = fused_stream(explainer, model, image, resolved, chosen)
    else:
        stream = explainer.stream(model, image, resolved, chosen)
    try:
        while True:
            progress = next(stream)
            yield replace(progress, partial=None)
            if partials and progress.partial is not None:
                yield finished(progress.partial)
    except StopIteration as stop:
        if not np.isfinite(stop.value.values).all():
            raise ModelError(
                f"{explainer.title} gave NaN or infinite values: the gradient of this model "
                "overflows on this image. Try float32 weights or another layer."
            ) from None
        return finished(stop.value)
    finally:
        stream.close()


def explanation_of(
    attribution: Attribution,
    explainer: Explainer,
    model: ExplainableModel,
    image: PreparedImage,
    target: Target,
    layer: str | tuple[str, ...] | None,
    seconds: float,
) -> Explanation:
    """Put an attribution together with what it is an attribution of.

    Parameters
    ----------
    target
        Resolved.
    seconds
        How long it took.
    """
    return Explanation(
        attribution=attribution.values,
        target=target,
        target_text=target.text(model.labels),
        score=attribution.score,
        image=image,
        method=explainer.name,
        title=explainer.title,
        layer=layer,
        signed=explainer.signed,
        diagnostics=dict(attribution.diagnostics),
        provenance=_provenance(model, image, explainer, target, layer, seconds),
    )


def _layers(model: ExplainableModel, layer: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of the layers to look at, each once.

    Raises
    ------
    LayerError
        If one does not exist, or there is none in the list.
    """
    if layer is None or isinstance(layer, str) or not isinstance(layer, Sequence):
        return (model.resolve_layer(layer),)
    if not layer:
        raise LayerError("The list of layers is empty: give one layer or several, or None.")
    return tuple(dict.fromkeys(model.resolve_layer(name) for name in layer))


def predicted_outputs(
    model: ExplainableModel,
    image: PreparedImage,
    method: str | None = None,
    layer: str | None = None,
) -> Any:
    """Return the output [K], or dense [H, W, K], from the pass that the method works on, if any.

    Raises
    ------
    ModelError
        If a score is NaN or infinite.
    """
    explainer = find(method) if method else None
    if (
        explainer is not None
        and explainer.uses_forward_pass
        and model.capabilities.reason(explainer.needs) is None
    ):
        forward = model.forward_pass(image)
        forward.start_at(model.resolve_layer(layer) if explainer.uses_layer else None)
        outputs = forward.outputs
    elif model.capabilities.reason(("input_gradients",)) is None:
        outputs = model.forward_pass(image).outputs
    else:
        outputs = model.backend.to_numpy(model.outputs(image.values[None]))[0]
    if not np.isfinite(outputs).all():
        raise ModelError(
            f"{model.name} gives NaN or infinite scores for {image.display.name!r}: "
            "check its weights and the preprocessing."
        )
    return outputs


def _provenance(
    model: ExplainableModel,
    image: PreparedImage,
    explainer: Explainer,
    target: Target,
    layer: str | tuple[str, ...] | None,
    seconds: float,
) -> dict[str, Any]:
    parameters = {
        name: value if isinstance(value, int | float | str | bool) else _summary(value)
        for name, value in (
            (entry.name, getattr(explainer, entry.name)) for entry in fields(explainer)
        )
    }
    return {
        **origin(model, seconds),
        "image": {
            "name": image.display.name,
            "hash": image.display.key,
            "size": [image.display.height, image.display.width],
            "placement": image.placement.to_dict(),
        },
        "method": explainer.name,
        "reference": explainer.reference,
        "parameters": parameters,
        "seed": parameters.get("seed"),
        "target": target.to_dict(),
        "layer": list(layer) if isinstance(layer, tuple) else layer,
    }


def _summary(value: Any) -> Any:
    """Stand in for a parameter that JSON does not take: shape and hash, or the names of files."""
    import hashlib

    if isinstance(value, Path):
        return str(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | Path) for item in value):
        return [str(item) for item in value]
    if isinstance(value, DisplayImage):
        return {"name": value.name, "hash": value.key}
    try:
        array = np.ascontiguousarray(value, dtype=np.float32)
    except (TypeError, ValueError):  # pictures of several sizes
        return {"type": type(value).__name__, "length": len(value)}
    digest = hashlib.blake2b(array.tobytes(), digest_size=16)
    return {"shape": list(array.shape), "hash": digest.hexdigest()}
