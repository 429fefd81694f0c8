"""Find what is explained in what a PyTorch module returns: scores [N, K] or dense outputs."""

from typing import Any

import torch

from xai_widgets.errors import ModelError, near_matches
from xai_widgets.models.torch_layers import first_tensor


class TorchOutput:
    """Finds the outputs in what a module returns, and remembers what it found.

    Parameters
    ----------
    name
        The model's name, for messages.
    wanted
        Name or position of an output; None for the one called "logits", else the first.

    Attributes
    ----------
    names
        The outputs that could be explained.
    chosen
        The one that is; None where there is but one.
    """

    def __init__(self, name: str, wanted: str | int | None = None) -> None:
        self._name, self._wanted = name, wanted
        self.names: tuple[str, ...] = ()
        self.chosen: str | None = None

    def __call__(self, output: Any, n_images: int) -> torch.Tensor:
        """Return float32 scores [N, K], or dense outputs [N, h, w, K].

        Raises
        ------
        ModelError
            If there is no such output, or it holds no scores.
        """
        tensor = self._selected(output, n_images)
        if tensor is None:
            raise ModelError(
                f"{self._name} returned a {type(output).__name__} without a tensor: its forward "
                "pass must return scores [N, K]."
            )
        if tensor.ndim not in (2, 4) or tensor.shape[0] != n_images:
            raise ModelError(
                f"{self._name} returned shape {list(tensor.shape)} for {n_images} image"
                f"{'s' if n_images > 1 else ''}: expected scores [{n_images}, K], or dense scores "
                f"[{n_images}, K, h, w]. Wrap the model so that it keeps the batch axis and "
                "returns one score per class."
            )
        if not tensor.is_floating_point():
            raise ModelError(
                f"{self._name} returned {str(tensor.dtype).removeprefix('torch.')} values: "
                "expected scores, not class numbers. Return the logits."
            )
        if tensor.ndim == 2:
            return tensor.float()
        if tensor.shape[2:] == (1, 1):  # a fully convolutional classifier
            return tensor[:, :, 0, 0].float()
        return tensor.permute(0, 2, 3, 1).float()

    def _selected(self, output: Any, n_images: int) -> torch.Tensor | None:
        named = _named(output)
        if self._wanted is not None:
            self.chosen = self._choice(tuple(named))
            return named[self.chosen]
        if not named:
            return first_tensor(output)
        self.names = tuple(name for name, tensor in named.items() if _fits(tensor, n_images))
        self.chosen = "logits" if "logits" in named else next(iter(named))
        return named[self.chosen]

    def _choice(self, names: tuple[str, ...]) -> str:
        """Return the name of the output that was asked for."""
        if not names:
            if self._wanted == "logits":
                raise ModelError(
                    f"{self._name} returns one tensor: what comes before its softmax is not known. "
                    "Build the model without its softmax, and leave output= away."
                )
            raise ModelError(f"{self._name} has one output: leave output= away.")
        if isinstance(self._wanted, int) and not isinstance(self._wanted, bool):
            if not 0 <= self._wanted < len(names):
                raise ModelError(
                    f"There is no output {self._wanted}: {self._name} returns {len(names)} "
                    f"tensors, 0 to {len(names) - 1}."
                )
            return names[self._wanted]
        if self._wanted not in names:
            near = near_matches(str(self._wanted), names)
            raise ModelError(f"{self._name} has no output {self._wanted!r}.{near}")
        return str(self._wanted)


def _named(output: Any) -> dict[str, torch.Tensor]:
    """Return the tensors in a tuple, dict or ModelOutput by name; none for a bare tensor."""
    if isinstance(output, torch.Tensor):
        return {}
    if hasattr(output, "items"):
        pairs = [(str(name), value) for name, value in output.items()]
    elif hasattr(output, "_fields"):
        pairs = list(zip(output._fields, output, strict=True))
    elif isinstance(output, list | tuple):
        pairs = [(f"output {i}", value) for i, value in enumerate(output)]
    else:
        logits = getattr(output, "logits", None)
        pairs = [("logits", logits)]
    return {name: value for name, value in pairs if isinstance(value, torch.Tensor)}


def _fits(tensor: torch.Tensor, n_images: int) -> bool:
    return tensor.ndim in (2, 4) and tensor.shape[0] == n_images and tensor.is_floating_point()
