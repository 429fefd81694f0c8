"""What a Keras model lacks for explainers, each lack with the sentence that a user reads."""

from collections.abc import Callable
from typing import Any

from xai_widgets.errors import ModelError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.keras_attention import KerasAttentionPass
from xai_widgets.models.keras_eager import KerasEager
from xai_widgets.models.keras_loading import Runner
from xai_widgets.models.keras_rescale import incomplete_operations
from xai_widgets.models.keras_rules import hidden_relus, relu_operations
from xai_widgets.models.keras_weights import trainable
from xai_widgets.models.primitives import ForwardPass
from xai_widgets.models.verdicts import find_lacks

NO_EAGER_RULE = (
    "{name} cannot be traced by TensorFlow, so the backward pass of its activations cannot be "
    "changed: write its call with TensorFlow's operations alone, or choose another method."
)
NO_EAGER_ATTENTION = (
    "{name} cannot be traced by TensorFlow, so its attention cannot be seen: write its call with "
    "TensorFlow's operations alone, or choose another method."
)


def find_all_lacks(
    model: ExplainableModel, runner: Runner, probe: Any, forward: Callable[[Any], ForwardPass]
) -> dict[str, str]:
    """Return what a model lacks, with the reasons.

    Parameters
    ----------
    model
        The adapter, its layers and outputs read already.
    runner
        The traced model.
    probe
        An image, [1, H, W, C].
    forward
        Runs a forward pass of an image.
    """
    name = model.name
    places: dict[str, str | None] = {"input_gradients": None}
    lacks = {**_rule_lacks(runner, name), **_attention_lacks(model, runner, probe)}
    if model.recommended_layer is not None:
        places["layer_gradients"] = model.recommended_layer
    elif any(layer.spatial for layer in model.layers):
        lacks["feature_maps"] = (
            f"{name} ends in tokens whose places on the picture do not move its scores."
        )
        places["layer_gradients"] = model.layers[-1].name
    else:
        lacks["feature_maps"] = f"{name} has no layer whose output is a feature map."
    if model.patch_layer is None:
        lacks["patches"] = f"{name} has no layer that returns a token for each patch."
    if not trainable(model.source):
        lacks["weights"] = f"{name} has no weights that training changes: they stay as they are."
    found = find_lacks(
        name,
        forward,
        model.backend.to_numpy,
        model.backend.to_numpy(probe),
        places,
        model.outputs_probabilities,
    )
    return {**lacks, **found}


def _attention_lacks(model: ExplainableModel, runner: Runner, probe: Any) -> dict[str, str]:
    if isinstance(runner, KerasEager):
        return {"attention": NO_EAGER_ATTENTION.format(name=model.name)}
    try:
        seen = KerasAttentionPass(model.name, runner, probe, model.layers, model.lock)
    except ModelError as error:
        return {"attention": str(error)}
    return {} if seen.lack is None else {"attention": seen.lack}


def _rule_lacks(runner: Runner, name: str) -> dict[str, str]:
    """Return why backward rules do not apply, where they do not."""
    if isinstance(runner, KerasEager):
        return dict.fromkeys(("relu", "rescale"), NO_EAGER_RULE.format(name=name))
    if hidden_relus(runner.way):
        return {
            "relu": f"{name} calls a tf.function that holds a ReLU, whose backward pass cannot be "
            "changed: take the @tf.function away, or choose another method."
        }
    if relu_operations(runner.way):
        return {}
    return {
        "relu": f"{name} has no ReLU: the rules of guided backprop and deconvolution apply to "
        "ReLUs alone, so choose another method."
    }


def not_exact(runner: Runner) -> tuple[str, ...]:
    """Return the operations for which the rescale rule has no exact form."""
    if isinstance(runner, KerasEager):
        return ("a call that TensorFlow cannot trace",)
    return incomplete_operations(runner.way)
