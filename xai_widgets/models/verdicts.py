"""What a model's gradients are good for: judged once, for capabilities and for the check alike."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ModelError, XaiError, sentence
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import Capabilities, ForwardPass
from xai_widgets.models.targets import ClassTarget

VERDICTS = (
    "explainable",
    "input-gradients-only",
    "layer-gradients-only",
    "inference-only",
    "broken",
)
DEAD = 1e-6
"""A score that the whole picture moves by less than this does not react to it."""
N_CLASSES = 3

Floats = npt.NDArray[np.float32]


def verdict_of(capabilities: Capabilities, has_layers: bool) -> tuple[str, str]:
    """Return the verdict that follows from what a model lacks, and a sentence for people.

    The reasons are what is lacking itself, which findings say.
    """
    lacks = capabilities.lacks
    no_input = lacks.get("input_gradients")
    no_layers = lacks.get("layer_gradients") or (None if has_layers else lacks.get("feature_maps"))
    layers = has_layers and no_layers is None
    if no_input is None and layers:
        return "explainable", "A gradient flows from the score to the picture."
    if no_input is None:
        return (
            "input-gradients-only",
            "A gradient flows from the score to the picture, but layers cannot be explained.",
        )
    if layers:
        return (
            "layer-gradients-only",
            "Layers can be explained, but the gradient does not reach the picture.",
        )
    return "inference-only", "This model predicts, but cannot be explained by gradients."


def model_verdict(model: ExplainableModel) -> tuple[str, str]:
    """Return verdict and sentence of a loaded model."""
    return verdict_of(model.capabilities, bool(model.layers))


def gradient_fault(gradient: Floats, values: Floats) -> str | None:
    """Return "not_finite", "zero" or "dead" if no map can be made of a gradient, else None.

    Parameters
    ----------
    gradient
        d score / d input or layer output.
    values
        The input or output itself: to first order the score moves by at most
        ``norm(gradient) * norm(values)`` when all of it goes.
    """
    if not np.isfinite(gradient).all():
        return "not_finite"
    if not gradient.any():
        return "zero"
    if double_norm(gradient) * double_norm(values) < DEAD:
        return "dead"
    return None


def double_norm(values: npt.ArrayLike) -> float:
    """Return the L2 norm in double precision, so that small gradients do not underflow."""
    return float(np.linalg.norm(np.asarray(values, dtype=np.float64).ravel()))


def fault_sentence(fault: str, name: str, where: str) -> str:
    """Say in one sentence what is wrong with a gradient."""
    return {
        "not_finite": f"The gradient at {where} is NaN or infinite.",
        "zero": f"The gradient at {where} is zero everywhere: the scores of {name} do not react "
        "to small changes there.",
        "dead": f"The gradient at {where} is next to nothing: the scores of {name} hardly react "
        "to the picture, as is often so with untrained weights.",
    }[fault]


def find_lacks(
    name: str,
    forward_pass: Callable[[Floats], ForwardPass],
    to_numpy: Callable[[object], Floats],
    probe: Floats,
    places: Mapping[str, str | None],
    probabilities: bool = False,
) -> dict[str, str]:
    """Try gradients and return what is certainly missing, with the reasons.

    A fault is certain if two pictures and several classes have it.

    Parameters
    ----------
    name
        The model's name.
    forward_pass
        Runs a forward pass of an input [1, H, W, C].
    to_numpy
        Turns a gradient into NumPy.
    probe
        An input of noise, [1, H, W, C].
    places
        The layer to look at, None for the input, by what it is needed for.
    probabilities
        The scores are probabilities, whose gradient may well vanish for single pictures.
    """
    passes: dict[int, ForwardPass] = {}
    lacks: dict[str, str] = {}
    for need, layer in places.items():
        where = "the input" if layer is None else f"layer {layer!r}"
        for i, values in enumerate(_probes(probe)):
            try:
                with sentence(ModelError, f"The gradient of {name} cannot be computed"):
                    forward = passes.get(i) or passes.setdefault(i, forward_pass(values))
                    fault = _fault(forward, to_numpy, values, layer)
            except XaiError as error:
                lacks[need] = str(error)
                break
            if fault is None or (probabilities and fault != "not_finite"):
                lacks.pop(need, None)
                break
            lacks[need] = fault_sentence(fault, name, where)
    return lacks


def _fault(
    forward: ForwardPass, to_numpy: Callable[[object], Floats], values: Floats, layer: str | None
) -> str | None:
    """Return what is wrong with the gradients of all of the first classes, or None."""
    fault = None
    for index in range(min(N_CLASSES, len(forward.scores))):
        gradient = to_numpy(forward.gradient(ClassTarget(index), layer))
        seen = values if layer is None else to_numpy(forward.activation(layer))
        fault = gradient_fault(gradient, seen)
        if fault is None:
            break
    return fault


def _probes(noise: Floats) -> Iterator[Floats]:
    """Yield the noise, then a smooth ramp of the same range."""
    yield noise
    _, height, width, channels = noise.shape
    low, high = float(noise.min()), float(noise.max())
    rows = np.linspace(low, high, height, dtype=np.float32)[:, None]
    columns = np.linspace(high, low, width, dtype=np.float32)[None, :]
    ramp = ((rows + columns) / 2)[None, :, :, None]
    yield np.ascontiguousarray(np.repeat(ramp, channels, axis=3), dtype=np.float32)
