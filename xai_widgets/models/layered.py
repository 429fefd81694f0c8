"""What a model shows of its layers: their names, outputs, gradients, and places on the picture."""

from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from xai_widgets.errors import LayerError, near_matches
from xai_widgets.models.architecture import Layer
from xai_widgets.models.backend import Array, Backend
from xai_widgets.models.primitives import LayerPass

Look = Callable[[Array], Mapping[str | None, Array]]
"""What images [N, H, W, C] make layers return, by name, and the model itself under None."""

Step = Callable[..., tuple[Array, ...]]
"""Takes arrays and returns arrays, on the model's device."""


class Layered:
    """The part of `ExplainableModel` that is about layers.

    Attributes
    ----------
    layers
        Feature maps and tokens, in the order of the forward pass.
    vector_layers
        Layers that return one vector an image, such as pooling and heads: no place of the picture
        can be looked at there, but activation vectors can be.
    """

    name: str
    backend: Backend
    layers: tuple[Layer, ...]
    vector_layers: tuple[Layer, ...] = ()

    def activations(self, images: Array, layer: str) -> Array:
        """Return a layer's output for images [N, H, W, C], in chunks: [N, H, W, C] or [N, T, D].

        Raises
        ------
        LayerError
            If the layer cannot be reached.
        """
        self._refuse_layers()

    def recorded(self, images: Array, layers: Sequence[str], gradients: bool = True) -> LayerPass:
        """Run one forward pass of a batch, and keep it from the earliest of some layers on.

        Parameters
        ----------
        images
            [N, H, W, C] in the model's value range; all N pass through the model at once.
        layers
            Where activations and gradients are wanted; `vector_layers` too.
        gradients
            False where the activations are enough: then nothing else is kept, and the pass is
            run again should somebody ask for gradients after all.

        Returns
        -------
        LayerPass
            Its memory is capped: a pass larger than the cap is run again for each target.

        Raises
        ------
        LayerError
            If a layer does not exist, or took no part in the pass.
        """
        self._refuse_layers()

    def shifted_outputs(self, images: Array, layer: str, shifts: Array) -> Array:
        """Return what the model returns when something is added to a layer's output.

        Parameters
        ----------
        images
            [N, H, W, C], or [1, H, W, C] for many shifts of one image.
        layer
            Any layer, `vector_layers` too; its last call where it runs more than once.
        shifts
            [N, ...], with channels last and as many axes as the layer's output, to which they are
            broadcast.

        Returns
        -------
        [N, K], or dense [N, H, W, K]
            Computed in chunks.

        Raises
        ------
        LayerError
            If the layer does not exist, or the shifts do not fit its output.
        """
        self._refuse_layers()

    def compiled(
        self, step: Callable[..., tuple[Array, ...]], layers: Sequence[str | None]
    ) -> Step:
        """Return a step of work that goes through the model, to be run many times.

        Where the framework traces, the whole step is traced, once for each set of shapes, so that a
        loop of its own stays on the device. Each run holds the model's lock, and leaves the model
        as it was.

        Parameters
        ----------
        step
            Called with a `Look`, and the arrays that the returned function is called with; returns
            arrays. It uses the operations of the backend alone; what it looks at within
            ``backend.gradients`` is differentiated, the model included.
        layers
            What the look shows: layers, `vector_layers` too, and None for the outputs. The model
            runs no further than to the last of them.

        Raises
        ------
        LayerError
            If a layer does not exist.
        """
        self._refuse_layers()

    def _refuse_layers(self) -> NoReturn:
        raise LayerError(
            f"{self.name} shows no layers: choose an explainer that needs none; TCAV and other "
            "tools for concepts need the original model, whose layers can be seen."
        )

    @property
    def patch_layer(self) -> str | None:
        """The first layer that returns a token per patch; None where there are no tokens."""
        return next((layer.name for layer in self.layers if layer.grid is not None), None)

    @property
    def recommended_layer(self) -> str | None:
        """The layer that CAM methods use unless told otherwise; None if there is no feature map."""
        return next((layer.name for layer in self.layers if layer.recommended), None)

    def layer(self, name: str) -> Layer:
        """Return the entry of a layer that exists."""
        every = (*self.layers, *self.vector_layers)
        return next(layer for layer in every if layer.name == name)

    def feature_map(self, layer: str, array: Array) -> Array:
        """Arrange a layer's activations or gradients on the picture: [N, H, W, C].

        Tokens [N, T, D] become [N, rows, columns, D] without CLS and registers.

        Raises
        ------
        LayerError
            If the layer has no positions on the picture.
        """
        grid = self.layer(layer).grid
        if len(array.shape) == 4:
            return array
        if grid is None or len(array.shape) != 3:
            raise LayerError(
                f"The output of layer {layer!r} is no feature map: choose a layer with height, "
                "width and channels, or with a token per patch."
            )
        n, width = int(array.shape[0]), int(array.shape[2])
        return self.backend.reshape(array[:, grid.patches], (n, grid.rows, grid.columns, width))

    def resolve_layer(self, layer: str | None, vectors: bool = False) -> str:
        """Return a layer's name after checking it, the recommended one for None.

        Parameters
        ----------
        layer
            What the user wrote.
        vectors
            Accept layers that return one vector an image.

        Raises
        ------
        LayerError
            If the layer does not exist (with near matches), or the model has no feature map.
        """
        known = (*self.layers, *self.vector_layers) if vectors else self.layers
        names = [entry.name for entry in known]
        if not self.layers and not self.vector_layers:
            self._refuse_layers()
        if layer is None:
            if self.recommended_layer is None:
                raise LayerError(
                    f"{self.name} has no layer whose output is a feature map: "
                    "choose an explainer that needs none; for TCAV, name a layer, such as "
                    f"{(self.vector_layers or self.layers)[-1].name!r}."
                )
            return self.recommended_layer
        if layer not in names:
            raise LayerError(f"There is no layer {layer!r}.{near_matches(str(layer), names)}")
        return layer
