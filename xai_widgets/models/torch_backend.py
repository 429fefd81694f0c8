"""PyTorch's side of the array operations in backend.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from xai_widgets.models.backend import Backend


class TorchBackend(Backend):
    """Float32 tensors on one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def asarray(self, values: Any) -> torch.Tensor:
        """Move values to the device as float32, sharing memory where the device is the CPU."""
        if isinstance(values, torch.Tensor):
            return values.to(self.device, torch.float32)
        array = np.ascontiguousarray(values, dtype=np.float32)
        if not array.flags.writeable:
            array = array.copy()
        return torch.from_numpy(array).to(self.device)

    def to_numpy(self, array: Any) -> npt.NDArray[np.float32]:
        """Copy a tensor to NumPy float32."""
        if not isinstance(array, torch.Tensor):
            return np.asarray(array, dtype=np.float32)
        return np.asarray(array.detach().to("cpu", torch.float32).contiguous().numpy())

    def stack(self, arrays: Sequence[Any]) -> torch.Tensor:
        """Join tensors along a new first axis."""
        return torch.stack([self.asarray(array) for array in arrays])

    def sum(self, array: Any, axes: tuple[int, ...]) -> torch.Tensor:
        """Sum over axes."""
        return self.asarray(array).sum(dim=axes)

    def mean(self, array: Any, axes: tuple[int, ...]) -> torch.Tensor:
        """Average over axes."""
        return self.asarray(array).mean(dim=axes)

    def relu(self, array: Any) -> torch.Tensor:
        """Replace negative values by zero."""
        return self.asarray(array).clamp(min=0)

    def softmax(self, scores: Any) -> torch.Tensor:
        """Normalise [N, K] scores to probabilities."""
        return torch.softmax(self.asarray(scores), dim=1)
