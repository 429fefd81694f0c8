"""What a loaded PyTorch module offers to explainers, found by trying it on noise."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from torch import nn

from xai_widgets.errors import XaiError
from xai_widgets.models.base import Layer
from xai_widgets.models.targets import ClassTarget
from xai_widgets.models.tokens import recommend_tokens
from xai_widgets.models.torch_forward import TorchForwardPass
from xai_widgets.models.torch_kinds import no_layers
from xai_widgets.models.verdicts import find_lacks

Floats = npt.NDArray[np.float32]


def probe_layers(
    name: str,
    module: nn.Module,
    layers: Sequence[Layer],
    forward_pass: Callable[[Floats], TorchForwardPass],
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
