"""What a loaded PyTorch module offers to explainers, found by trying it on noise."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from xai_widgets.errors import XaiError
from xai_widgets.models.architecture import Layer
from xai_widgets.models.primitives import ForwardPass
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.tokens import recommend_tokens
from xai_widgets.models.torch_attention import AttentionMode, attention_lack, described
from xai_widgets.models.torch_kinds import is_compiled, no_layers
from xai_widgets.models.torch_modes import run_in
from xai_widgets.models.torch_rules import SMOOTH, relu_ceiling
from xai_widgets.models.verdicts import find_lacks

Floats = npt.NDArray[np.float32]


def probe_layers(
    name: str,
    module: nn.Module,
    layers: Sequence[Layer],
    forward_pass: Callable[[Floats], ForwardPass],
    probe: Floats,
    probabilities: bool,
) -> tuple[tuple[Layer, ...], dict[str, str]]:
    """Recommend a layer of tokens where no feature map is, and find out what is missing.

    Parameters
    ----------
    name, module
        The model.
    layers
        Its layers.
    forward_pass
        Records a whole forward pass of an input [1, H, W, C].
    probe
        An input of noise, [1, H, W, C].
    probabilities
        The outputs are probabilities.

    Returns
    -------
    tuple
        The layers, one of them recommended where possible, and the lacks.
    """
    found = tuple(layers)
    recommended = next((layer.name for layer in found if layer.recommended), None)
    if recommended is None and any(layer.grid is not None for layer in found):
        forward = forward_pass(probe)

        def gradient(layer: str) -> Floats | None:
            try:
                target = ClassTarget(int(np.argmax(forward.scores)))
                values: Floats = forward.gradient(target, layer).cpu().numpy()
            except XaiError:
                return None
            return values

        found = recommend_tokens(found, gradient)
        recommended = next((layer.name for layer in found if layer.recommended), None)
    places: dict[str, str | None] = {"input_gradients": None}
    lacks: dict[str, str] = {}
    if recommended is not None:
        places["layer_gradients"] = recommended
    elif any(layer.spatial for layer in found):
        lacks["feature_maps"] = (
            f"{name} ends in tokens, and none of its layers has patches that the score depends on."
        )
        places["layer_gradients"] = found[-1].name
    else:
        lacks["feature_maps"] = no_layers(module, name)
    if not any(layer.grid is not None for layer in found):
        lacks["patches"] = f"{name} cuts the picture into no patches: choose its input or a layer."
    lacks.update(
        find_lacks(
            name,
            forward_pass,
            lambda array: np.asarray(array.cpu().numpy()),  # type: ignore[attr-defined]
            probe,
            places,
            probabilities,
        )
    )
    return found, lacks


class _Survey(AttentionMode):
    """Counts ReLUs and names the activations that are none, beside the attention."""

    def __init__(self, running: Sequence[str]) -> None:
        super().__init__(running)
        self.n_relus = 0
        self.others: set[str] = set()

    def call(
        self,
        name: str,
        in_place: bool,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        self.n_relus += relu_ceiling(name, args, kwargs) is not None
        if name in SMOOTH:
            self.others.add(SMOOTH[name])
        return super().call(name, in_place, func, args, kwargs)


def survey(
    name: str,
    module: nn.Module,
    predict: Callable[[torch.Tensor], Any],
    probe: torch.Tensor,
    layers: Sequence[Layer],
    copies: int = 1,
) -> dict[str, str]:
    """Watch one forward pass, and say what is missing: ReLUs, attention, weights.

    Parameters
    ----------
    name, module
        The model.
    predict
        Runs it on [N, H, W, C] without a graph.
    probe
        An input of noise, [1, H, W, C].
    layers
        The model's layers.
    copies
        How often the module gets the image, where it takes batches of one size alone.
    """
    lacks: dict[str, str] = {}
    if not any(parameter.is_floating_point() for parameter in module.parameters()):
        lacks["weights"] = (
            f"{name} holds no weights that can be exchanged: load the original model."
        )
    if is_compiled(module):
        hidden = (
            f"{name} is a TorchScript program, whose operations cannot be seen or replaced: load "
            "the original nn.Module, or its weights with architecture=."
        )
        return dict.fromkeys(("relu", "rescale", "attention", "weights"), hidden)
    with run_in(module) as running, _Survey(running) as seen:
        predict(probe)
    if not seen.n_relus:
        others = f" (it uses {', '.join(sorted(seen.others))})" if seen.others else ""
        lacks["relu"] = (
            f"{name} has no ReLU{others}, and this rule is defined for ReLU alone: choose another "
            "method."
        )
    size = (int(probe.shape[1]), int(probe.shape[2]))
    found, _ = described(seen.seen, layers, size, copies)
    reason = attention_lack(name, seen.seen, found)
    if reason is not None:
        lacks["attention"] = reason
    return lacks
