"""`Evidence`: what a model shows of many pictures at some layers, each of them computed once."""

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from xai_widgets.concepts.features import features
from xai_widgets.concepts.remembered import Retained, Shared
from xai_widgets.errors import ConceptError, LayerError, ModelError
from xai_widgets.explainers.base import Progress
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import LayerPass, PreparedImage
from xai_widgets.models.targets import RegionTarget, Target, resolve_target

Floats = npt.NDArray[np.float32]
Pictures = Mapping[str, Any] | Sequence[tuple[str, Any]]
"""Pictures by key, or pairs of key and picture: whatever `open_image` takes, or a function without
arguments that returns it, which is called only where something is not known yet."""

Result = TypeVar("Result")
Steps = Generator[Progress, None, Result]
"""Yields after each chunk how many pictures are done; closing it cancels the work."""

Compute = Callable[[Sequence[PreparedImage], LayerPass], Mapping[Hashable, Sequence[Any]]]
"""Makes arrays of some kinds, one per picture, of prepared pictures and their forward pass."""

Found = dict[tuple[str, Hashable], Any]
"""Arrays by key of the picture and kind."""

CACHED_BYTES = 1024**3
RETAINED_BYTES = 1024**3


@dataclass(frozen=True, eq=False)
class Predictions:
    """What the model says of pictures.

    Attributes
    ----------
    classes
        The predicted class of each, int [N].
    scores
        float32 [N, K].
    """

    classes: npt.NDArray[np.intp]
    scores: Floats


class Evidence:
    """Activations, gradients and predictions of pictures by key, from as few passes as possible.

    One forward pass of a picture gives its features at all layers. Where gradients are asked for,
    the pass is kept as far as memory allows, so that another class costs its backward pass alone;
    taking an example out of a concept costs no pass at all. When the model's weights change,
    everything is forgotten.

    Features are float32 [N, D]. Pooled, D is the layer's channels: activations are averaged over
    the positions (the patches of a transformer, without CLS and registers), gradients summed, so
    that their product with a vector is the derivative of the score when the vector is added at
    every position. Otherwise D is the size of the layer's whole output.

    Parameters
    ----------
    model
        A loaded model.
    layers
        Names of layers, those that return one vector an image included; None for the recommended
        one.
    pooled
        Pool over the positions.
    cached_bytes, retained_bytes
        Memory for features, and for forward passes.

    Attributes
    ----------
    model, layers, pooled
        As given.

    Raises
    ------
    ConceptError
        If the list of layers is empty.
    LayerError
        If a layer does not exist.
    """

    def __init__(
        self,
        model: ExplainableModel,
        layers: Sequence[str] | None = None,
        pooled: bool = True,
        cached_bytes: int = CACHED_BYTES,
        retained_bytes: int = RETAINED_BYTES,
    ) -> None:
        self.model = model
        names = [None] if layers is None else list(layers)
        self.layers = tuple(dict.fromkeys(model.resolve_layer(name, True) for name in names))
        if not self.layers:
            raise ConceptError("The list of layers is empty: give at least one, or None.")
        self.pooled = pooled
        self._shared = Shared(model, cached_bytes, retained_bytes)

    def at(self, layers: Sequence[str] | None = None, pooled: bool | None = None) -> "Evidence":
        """Return a view with other layers or pooling, which shares all that is known.

        Raises
        ------
        ConceptError
            If the list of layers is empty.
        LayerError
            If a layer does not exist.
        """
        view = Evidence(
            self.model,
            self.layers if layers is None else layers,
            self.pooled if pooled is None else pooled,
        )
        view._shared = self._shared
        return view

    def clear(self) -> None:
        """Forget everything, and give the memory back."""
        self._shared.known.clear()
        self._shared.retained.clear()

    def activations_of(self, pictures: Pictures) -> Steps[dict[str, Floats]]:
        """Return the activations of pictures by layer, [N, D], in their order.

        Raises
        ------
        XaiError
            If a picture cannot be opened, or the model fails on it.
        """
        kinds = {layer: ("activation", layer, self.pooled) for layer in self.layers}
        found, missing = self._look_up(pictures, kinds.values())

        def compute(keys: Sequence[str], images: Sequence[PreparedImage]) -> None:
            self._put_activations(keys, self._looked_at(images), found)

        yield from self._in_chunks(missing, compute)
        return {layer: self._stacked(pictures, kind, found) for layer, kind in kinds.items()}

    def computed(
        self, pictures: Pictures, kinds: Sequence[Hashable], compute: Compute
    ) -> Steps[Found]:
        """Return what somebody else makes of passes through the layers, and remember it.

        Parameters
        ----------
        pictures
            By key.
        kinds
            What is made, by names of its own.
        compute
            Returns for each kind one array per picture, from prepared pictures and their pass.

        Returns
        -------
        dict
            By key and kind.
        """
        found, missing = self._look_up(pictures, kinds)

        def run(keys: Sequence[str], images: Sequence[PreparedImage]) -> None:
            passed = self._looked_at(images)
            self._put_activations(keys, passed, found)
            for kind, rows in compute(images, passed).items():
                self._put(keys, kind, rows, found)

        yield from self._in_chunks(missing, run)
        return found

    def gradients_of(self, pictures: Pictures, target: Any) -> Steps[dict[str, Floats]]:
        """Return the gradients of a target's score at the layers, [N, D], in the pictures' order.

        Parameters
        ----------
        pictures
            By key.
        target
            A class position or label, or a `Target`.

        Raises
        ------
        XaiError
            If the target does not exist or fit, the model has no gradient, or a picture cannot be
            opened.
        """
        chosen = self.resolve_target(target)
        kinds = {layer: ("gradient", chosen, layer, self.pooled) for layer in self.layers}
        found, missing = self._look_up(pictures, kinds.values())
        total = len(missing)

        def differentiate(keys: Sequence[str], passed: LayerPass) -> None:
            gradients = passed.gradients(chosen, self.layers)
            for layer, kind in kinds.items():
                rows = features(self.model, layer, gradients[layer], self.pooled, "sum")
                self._put(keys, kind, rows, found)

        for entry in self._retained_for(missing):
            self._check_unchanged()
            differentiate(entry.keys, entry.passed)
            missing = {key: missing[key] for key in missing if key not in entry.keys}
            yield Progress(total - len(missing), total)

        def compute(keys: Sequence[str], images: Sequence[PreparedImage]) -> None:
            passed = self.model.recorded(_batch(images), self.layers)
            self._put_activations(keys, passed, found)
            differentiate(keys, passed)
            self._shared.keep(Retained(tuple(keys), frozenset(self.layers), passed))

        yield from self._in_chunks(missing, compute, total)
        return {layer: self._stacked(pictures, kind, found) for layer, kind in kinds.items()}

    def predictions_of(self, pictures: Pictures) -> Steps[Predictions]:
        """Return predicted classes and scores of pictures, in their order."""
        found, missing = self._look_up(pictures, ["class", "scores"])

        def compute(keys: Sequence[str], images: Sequence[PreparedImage]) -> None:
            self._put_predictions(keys, self.model.outputs(_batch(images)), found)

        yield from self._in_chunks(missing, compute)
        classes = self._stacked(pictures, "class", found)
        return Predictions(classes.astype(np.intp), self._stacked(pictures, "scores", found))

    def resolve_target(self, target: Any) -> Target:
        """Return a target with class positions.

        Raises
        ------
        TargetError
            If a class or layer does not exist.
        ConceptError
            If it is none that many pictures can share.
        """
        if target is None or isinstance(target, RegionTarget):
            raise ConceptError(
                "Concepts are tested for one target in many pictures: give a class, or a contrast "
                "of two classes."
            )
        found = resolve_target(target, self.model.labels, 0)
        if found.layer is not None:
            self.model.resolve_layer(found.layer)
        return found

    # Passes -------------------------------------------------------------------------------

    def _looked_at(self, images: Sequence[PreparedImage]) -> LayerPass:
        return self.model.recorded(_batch(images), self.layers, gradients=False)

    def _in_chunks(
        self,
        missing: Mapping[str, Any],
        compute: Callable[[Sequence[str], Sequence[PreparedImage]], None],
        total: int | None = None,
    ) -> Iterator[Progress]:
        """Open pictures and compute, as many at once as the model takes, inputs of a size alone."""
        total = len(missing) if total is None else total
        done = total - len(missing)
        keys = list(missing)
        for start in range(0, len(keys), self.model.chunk_size):
            chunk = keys[start : start + self.model.chunk_size]
            by_shape: dict[tuple[int, ...], dict[str, PreparedImage]] = {}
            for key in chunk:
                picture = missing[key]
                prepared = self.model.prepare(picture() if callable(picture) else picture)
                by_shape.setdefault(prepared.values.shape, {})[key] = prepared
            self._check_unchanged()
            for images in by_shape.values():
                compute(list(images), list(images.values()))
            done += len(chunk)
            yield Progress(done, total)

    def _retained_for(self, missing: Mapping[str, Any]) -> list[Retained]:
        """Return the passes that hold pictures of which something is missing."""
        wanted, found = set(missing), []
        for entry in reversed(self._shared.retained):
            if entry.layers.issuperset(self.layers) and not wanted.isdisjoint(entry.keys):
                found.append(entry)
                wanted -= set(entry.keys)
        return found

    def _check_unchanged(self) -> None:
        if self.model.fingerprint != self._shared.fingerprint:
            raise ModelError(
                f"The weights of {self.model.name} changed while pictures were measured with them: "
                "start again."
            )

    # What is known ------------------------------------------------------------------------

    def _look_up(
        self, pictures: Pictures, kinds: Iterable[Hashable]
    ) -> tuple[Found, dict[str, Any]]:
        """Return what is known by (key, kind), and the pictures of which something is missing."""
        fingerprint = self.model.fingerprint
        if fingerprint != self._shared.fingerprint:
            self.clear()
            self._shared.fingerprint = fingerprint
        wanted = list(kinds)
        found: Found = {}
        missing: dict[str, Any] = {}
        for key, picture in _pairs(pictures):
            for kind in wanted:
                row = self._shared.known.get((key, kind))
                if row is None:
                    missing[key] = picture
                else:
                    found[key, kind] = row
        return found, missing

    def _put(self, keys: Sequence[str], kind: Hashable, rows: Any, found: Found) -> None:
        if len(rows) != len(keys):
            raise LayerError(
                f"{self.model.name} returns {len(rows)} rows for {len(keys)} images at one of "
                f"{', '.join(map(repr, self.layers))}: choose layers with a row for each image."
            )
        for key, row in zip(keys, rows, strict=True):
            if not np.isfinite(row).all():
                raise ModelError(
                    f"{self.model.name} gives NaN or infinite values for a picture: check "
                    "the preprocessing (a std of zero?), try float32 weights or another layer."
                )
            own = np.array(row)
            self._shared.known.put((key, kind), own)
            found[key, kind] = own

    def _put_activations(self, keys: Sequence[str], passed: LayerPass, found: Found) -> None:
        for layer in self.layers:
            rows = features(self.model, layer, passed.activation(layer), self.pooled)
            self._put(keys, ("activation", layer, self.pooled), rows, found)
        self._put_predictions(keys, passed.outputs, found)

    def _put_predictions(self, keys: Sequence[str], outputs: Any, found: Found) -> None:
        to_numpy = self.model.backend.to_numpy
        classes = [self.model.predicted_class(row) for row in to_numpy(outputs)]
        self._put(keys, "class", np.asarray(classes), found)
        self._put(keys, "scores", to_numpy(self.model.class_scores(outputs)), found)

    def _stacked(self, pictures: Pictures, kind: Hashable, found: Found) -> Any:
        rows = [found[key, kind] for key, _ in _pairs(pictures)]
        sizes = sorted({row.shape for row in rows})
        if len(sizes) > 1:
            raise ConceptError(
                "The model takes these pictures in different sizes, so that their activations have "
                f"{', '.join(str(size[0]) for size in sizes)} values: pool them, or load the model "
                "with input_size=."
            )
        return np.stack(rows) if rows else np.zeros((0, 0), np.float32)


def _batch(images: Sequence[PreparedImage]) -> Floats:
    return np.stack([image.values for image in images])


def _pairs(pictures: Pictures) -> Iterable[tuple[str, Any]]:
    return pictures.items() if isinstance(pictures, Mapping) else pictures


def result_of(steps: Steps[Result]) -> Result:
    """Take all steps, and return what they end in."""
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            result: Result = stop.value
            return result
