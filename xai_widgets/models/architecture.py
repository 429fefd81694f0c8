"""A model's architecture as people see it: layers in order, and where their outputs lie."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Grid:
    """Where the tokens of a transformer lie: ``prefix`` of them (CLS, registers), then patches.

    Attributes
    ----------
    rows, columns
        Of the patch grid, row by row from the top left.
    prefix
        How many tokens come before the patches.
    """

    rows: int
    columns: int
    prefix: int = 0

    @property
    def patches(self) -> slice:
        """The positions of the patches among the tokens."""
        return slice(self.prefix, self.prefix + self.rows * self.columns)


@dataclass(frozen=True)
class Layer:
    """One entry of a model's architecture, in the order of the forward pass.

    Attributes
    ----------
    name
        Path of the layer, as the framework spells it.
    kind
        Class name of the layer.
    shape
        Output shape without the batch axis: (H, W, C) for feature maps, (T, D) for tokens.
    main
        True for the last layer at each resolution, which is what people mostly look at.
    recommended
        True for the layer that CAM methods should use unless told otherwise.
    grid
        Where the tokens lie on the picture; None for feature maps, and for tokens without a grid.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    main: bool = False
    recommended: bool = False
    grid: Grid | None = None

    @property
    def resolution(self) -> tuple[int, int] | None:
        """(rows, columns) of a feature map or of a token grid; None where there is neither."""
        if self.grid is not None:
            return self.grid.rows, self.grid.columns
        return (self.shape[0], self.shape[1]) if len(self.shape) == 3 else None

    @property
    def spatial(self) -> bool:
        """True if the output has more than one position on the picture."""
        return self.resolution is not None and self.resolution[0] * self.resolution[1] > 1

    @property
    def depth(self) -> int:
        """How deeply the layer is nested in others."""
        return self.name.count(".") + self.name.count("/")
