"""PyTorch's side of the array operations in backend.py."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from xai_widgets.models.backend import Backend, gaussian_kernel
from xai_widgets.models.torch_state import autograd


class TorchBackend(Backend):
    """Float32 tensors on one device."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def asarray(self, values: Any) -> torch.Tensor:
        """Move values to the device as float32, sharing memory where the device is the CPU."""
        if isinstance(values, torch.Tensor):
            return values.to(self.device, torch.float32)
        array = np.asarray(values, dtype=np.float32, order="C")
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

    def max(self, array: Any, axes: tuple[int, ...]) -> torch.Tensor:
        """Take the maximum over axes."""
        return self.asarray(array).amax(dim=axes)

    def relu(self, array: Any) -> torch.Tensor:
        """Replace negative values by zero."""
        return self.asarray(array).clamp(min=0)

    def softmax(self, scores: Any) -> torch.Tensor:
        """Normalise [N, K] scores to probabilities."""
        return torch.softmax(self.asarray(scores), dim=1)

    def concatenate(self, arrays: Sequence[Any]) -> torch.Tensor:
        """Join tensors along their first axis."""
        return torch.cat([self.asarray(array) for array in arrays])

    def reshape(self, array: Any, shape: tuple[int, ...]) -> torch.Tensor:
        """Arrange the same values in another shape."""
        return self.asarray(array).reshape(shape)

    def where(self, condition: Any, chosen: Any, other: Any) -> torch.Tensor:
        """Choose values where a condition holds, others elsewhere."""
        return torch.where(condition, self.asarray(chosen), self.asarray(other))

    def abs(self, array: Any) -> torch.Tensor:
        """Return magnitudes."""
        return self.asarray(array).abs()

    def matmul(self, first: Any, second: Any) -> torch.Tensor:
        """Multiply matrices."""
        return self.asarray(first) @ self.asarray(second)

    def transposed(self, array: Any) -> torch.Tensor:
        """Swap the last two axes."""
        return self.asarray(array).transpose(-1, -2)

    def resize(self, array: Any, size: tuple[int, int]) -> torch.Tensor:
        """Resize [N, H, W, C] bilinearly."""
        images = self.asarray(array).permute(0, 3, 1, 2)
        resized = functional.interpolate(images, size, mode="bilinear", align_corners=False)
        return resized.permute(0, 2, 3, 1)

    def blur(self, array: Any, sigma: float) -> torch.Tensor:
        """Blur [N, H, W, C] with a Gaussian, one axis after the other."""
        images = self.asarray(array).permute(0, 3, 1, 2)
        if sigma <= 0:
            return images.permute(0, 2, 3, 1)
        kernel = torch.from_numpy(gaussian_kernel(sigma)).to(self.device)
        channels, radius = images.shape[1], len(kernel) // 2
        for shape, padding in (
            ((channels, 1, -1, 1), (0, 0, radius, radius)),
            ((channels, 1, 1, -1), (radius, radius, 0, 0)),
        ):
            padded = functional.pad(images, padding, mode="replicate")
            weight = kernel.reshape(1, *shape[1:]).expand(channels, -1, -1, -1)
            images = functional.conv2d(padded, weight, groups=channels)
        return images.permute(0, 2, 3, 1)

    def sigmoid(self, array: Any) -> torch.Tensor:
        """Return 1 / (1 + exp(-array))."""
        return torch.sigmoid(self.asarray(array))

    def split(self, array: Any) -> Sequence[torch.Tensor]:
        """Return the rows of a tensor, each with a first axis of one."""
        return torch.split(self.asarray(array), 1)

    def recoloured(self, array: Any, matrix: Any, offset: Any = None) -> torch.Tensor:
        """Mix the channels of [N, H, W, C], plane by plane."""
        images = self.asarray(array).permute(0, 3, 1, 2)
        n, _, height, width = images.shape
        planes, mix = images.flatten(2), self.asarray(matrix).T.expand(n, -1, -1)
        if offset is None:
            mixed = torch.bmm(mix, planes)
        else:
            mixed = torch.baddbmm(self.asarray(offset)[:, None], mix, planes)
        return mixed.reshape(n, -1, height, width).permute(0, 2, 3, 1)

    def irfft2(self, spectra: Any, size: tuple[int, int]) -> torch.Tensor:
        """Transform spectra [N, C, H, W // 2 + 1, 2] to real images [N, H, W, C]."""
        spectrum = torch.view_as_complex(self.asarray(spectra).contiguous())
        images: torch.Tensor = torch.fft.irfft2(spectrum, s=size)
        return images.permute(0, 2, 3, 1)

    def warp(self, array: Any, matrix: Any) -> torch.Tensor:
        """Move [N, H, W, C] about, bilinearly, zero where nothing is."""
        images, moves = self.asarray(array).permute(0, 3, 1, 2), self.asarray(matrix)
        height, width = images.shape[2:]
        rows, columns = (
            torch.arange(side, device=self.device) - (side - 1) / 2 for side in (height, width)
        )
        # `grid_sample` counts from -1 to 1 between the outer edges, x before y.
        places = [
            moves[axis, 0] * (2 / side) * rows[:, None]
            + (moves[axis, 1] * columns + moves[axis, 2]) * (2 / side)
            for axis, side in ((1, width), (0, height))
        ]
        grid = torch.stack(places, dim=-1)[None]
        # The images move alike: as channels of one image their places are computed once.
        planes = images.reshape(1, -1, height, width)
        moved = functional.grid_sample(planes, grid, align_corners=False)
        return moved.reshape(images.shape).permute(0, 2, 3, 1)

    def gradients(
        self, function: Callable[..., Any], arguments: Sequence[Any]
    ) -> tuple[torch.Tensor, tuple[torch.Tensor | None, ...]]:
        """Return values and d sum(values) / d argument of a function, by autograd."""
        with autograd():
            given = [self.asarray(array) for array in arguments]
            # autograd refuses what the caller made in inference mode
            own = [array.clone() if array.is_inference() else array.detach() for array in given]
            leaves = [array.requires_grad_(True) for array in own]
            values = function(*leaves)
            if not values.requires_grad:
                return values, (None,) * len(leaves)
            found = torch.autograd.grad(values.sum(), leaves, allow_unused=True)
        return values.detach(), found
