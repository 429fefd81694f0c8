"""The five axes of a comparison: what was given for each, and the cells that they span."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from xai_widgets.errors import LayerError, ModelError, TargetError, XaiError
from xai_widgets.evaluation.subjects import Subject, subjects
from xai_widgets.explainers.base import Explainer
from xai_widgets.explainers.registry import find
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.targets import Target, resolve_target

AXES = ("images", "methods", "models", "layers", "targets")
PREDICTED = "predicted class"
RECOMMENDED = "recommended layer"


@dataclass(frozen=True, order=True)
class Cell:
    """A cell of the grid: positions in the lists of models, images, methods, layers, targets."""

    models: int = 0
    images: int = 0
    methods: int = 0
    layers: int = 0
    targets: int = 0

    @property
    def key(self) -> str:
        """Its name in messages, "m.i.k.l.t"."""
        return f"{self.models}.{self.images}.{self.methods}.{self.layers}.{self.targets}"

    @classmethod
    def of(cls, positions: Mapping[str, int]) -> "Cell":
        """Return the cell at positions by axis; axes that are not named are at 0."""
        return cls(**{axis: positions.get(axis, 0) for axis in AXES})

    @classmethod
    def named(cls, key: str) -> "Cell":
        """Return the cell with a key.

        Raises
        ------
        ValueError
            If it is no key.
        """
        numbers = [int(part) for part in key.split(".")]
        if len(numbers) != len(AXES):
            raise ValueError(f"{key!r} is no key of a cell")
        return cls(*numbers)

    def at(self, axis: str) -> int:
        """Return its position on an axis."""
        return int(getattr(self, axis))

    def to_dict(self) -> dict[str, int]:
        """Return its positions by axis."""
        return {axis: self.at(axis) for axis in AXES}


@dataclass(frozen=True)
class Entry:
    """One entry of the axes "layers" and "targets": what it is called, and what it stands for."""

    label: str
    value: Any


@dataclass(frozen=True, eq=False)
class Axes:
    """What is compared.

    Attributes
    ----------
    models, names
        The loaded models, and what each is called.
    images
        Opened one by one.
    subjects
        The methods with their parameters.
    layers, targets
        None among them stands for the recommended layer, and for each picture's predicted class.
    """

    models: tuple[ExplainableModel, ...]
    names: tuple[str, ...]
    images: ImageSet
    subjects: tuple[Subject, ...]
    layers: tuple[Entry, ...]
    targets: tuple[Entry, ...]

    def size(self, axis: str) -> int:
        """Return how many entries an axis has."""
        return len(self.subjects if axis == "methods" else getattr(self, axis))

    def label(self, axis: str, position: int) -> str:
        """Return what an entry is called."""
        if axis == "models":
            return self.names[position]
        if axis == "images":
            return self.images.name(position)
        if axis == "methods":
            return self.subjects[position].label
        entries: tuple[Entry, ...] = getattr(self, axis)
        return entries[position].label

    def title(self, axis: str, position: int) -> str:
        """Return what an entry is called for people: methods by their titles, unless named."""
        if axis == "methods":
            subject = self.subjects[position]
            named = subject.label != subject.method
            return subject.label if named else find(subject.method).title
        return self.label(axis, position)

    def explainer(self, cell: Cell) -> type[Explainer]:
        """Return the class of a cell's method."""
        return find(self.subjects[cell.methods].method)

    def source(self, cell: Cell) -> Cell:
        """Return the cell that has the same map: methods that look at no layer share one."""
        return cell if self.explainer(cell).uses_layer else replace(cell, layers=0)

    def subject(self, cell: Cell) -> Subject:
        """Return a cell's method, with its layer."""
        subject, layer = self.subjects[cell.methods], self.layers[cell.layers].value
        return subject if layer is None else replace(subject, layer=layer)

    def refusal(self, cell: Cell) -> str | None:
        """Return why a cell can have no map whatever its picture, None if it can have one."""
        model, explainer = self.models[cell.models], self.explainer(cell)
        reason = model.capabilities.reason(explainer.needs)
        if reason is not None:
            return f"{explainer.title} cannot explain this model. {reason}"
        try:
            asked = resolve_target(self.targets[cell.targets].value, model.labels, 0)
            if asked.layer is not None:
                model.resolve_layer(asked.layer)
            if explainer.uses_layer:
                layer = self.subject(cell).layer
                for name in layer if isinstance(layer, tuple | list) else (layer,):
                    model.resolve_layer(name)
        except XaiError as error:
            return str(error)
        return None


def axes_of(models: Any, images: Any, methods: Any, targets: Any, layers: Any, labels: Any) -> Axes:
    """Read what a user gave for each axis; see `Comparison`.

    Raises
    ------
    XaiError
        If a model cannot be loaded, there is no image or method, or no model has a layer or target.
    """
    found = ImageSet(images)
    named = _models(models, labels)
    loaded = tuple(named.values())
    return Axes(
        models=loaded,
        names=tuple(named),
        images=found,
        subjects=tuple(subjects(methods)),
        layers=_layers(layers, loaded),
        targets=_targets(targets, loaded),
    )


def first_sides(axes: Axes) -> tuple[str, str]:
    """Return the axes to begin with, rows and columns: those that have something to compare."""
    several = [axis for axis in AXES if axes.size(axis) > 1]
    chosen = [*several, *(axis for axis in AXES if axis not in several)][:2]
    by_rank = ["methods", *reversed([axis for axis in chosen if axis != "images"])]
    columns = next(axis for axis in by_rank if axis in chosen)
    return next(axis for axis in chosen if axis != columns), columns


def _models(given: Any, labels: Any) -> dict[str, ExplainableModel]:
    if isinstance(given, Mapping):
        pairs = [(str(name), load(model, labels=labels)) for name, model in given.items()]
    else:
        several = given if isinstance(given, list | tuple) else [given]
        pairs = [("", load(model, labels=labels)) for model in several]
    if not pairs:
        raise ModelError("The list of models is empty: give at least one.")
    plain = [name or model.name for name, model in pairs]
    told = [
        f"{name} ({model.framework})" if plain.count(name) > 1 else name
        for name, (_, model) in zip(plain, pairs, strict=True)
    ]
    return dict(zip(_unique(told), (model for _, model in pairs), strict=True))


def _unique(names: Sequence[str]) -> list[str]:
    """Number the names that come twice."""
    found: list[str] = []
    for name in names:
        number, text = 1, name
        while text in found:
            number += 1
            text = f"{name} {number}"
        found.append(text)
    return found


def _layers(given: Any, models: Sequence[ExplainableModel]) -> tuple[Entry, ...]:
    if not isinstance(given, str | Iterable | None):
        raise LayerError(f"layers is {given!r}: give the name of a layer, several, or None.")
    names = [given] if given is None or isinstance(given, str) else list(given)
    if not names:
        raise LayerError("The list of layers is empty: give one layer or several, or None.")
    entries = []
    for name in names:
        parts: tuple[Any, ...] = tuple(name) if isinstance(name, list | tuple) else (name,)
        if not parts:
            raise LayerError("An empty list is among the layers: give names to be seen together.")
        for part in (part for part in parts if part is not None):
            _in_some(models, lambda model, part=part: model.resolve_layer(part))
        label = " + ".join(RECOMMENDED if part is None else str(part) for part in parts)
        entries.append(Entry(label, parts if isinstance(name, list | tuple) else name))
    return _distinct(entries, LayerError, "layers")


def _targets(given: Any, models: Sequence[ExplainableModel]) -> tuple[Entry, ...]:
    one = given is None or isinstance(given, str | Target) or callable(given)
    one = one or not isinstance(given, Iterable) or _is_wire(given)
    if one:
        asked: list[tuple[str | None, Any]] = [(None, given)]
    elif isinstance(given, Mapping):
        asked = [(str(label), value) for label, value in given.items()]
    else:
        asked = [(None, value) for value in given]
    if not asked:
        raise TargetError("The list of targets is empty: give one target or several, or None.")
    entries = []
    for label, value in asked:
        if value is None:
            entries.append(Entry(label or PREDICTED, None))
            continue
        text = _in_some(models, lambda model, value=value: _text(model, value))
        entries.append(Entry(label or text, value))
    return _distinct(entries, TargetError, "targets")


def _is_wire(given: Any) -> bool:
    return isinstance(given, Mapping) and isinstance(given.get("kind"), str)


def _text(model: ExplainableModel, target: Any) -> str:
    resolved = resolve_target(target, model.labels, 0)
    if resolved.layer is not None:
        model.resolve_layer(resolved.layer)
    return resolved.text(model.labels)


def _in_some(models: Sequence[ExplainableModel], look: Any) -> Any:
    """Return what the first model that has it says; the first one's refusal if none has it."""
    refusal: XaiError | None = None
    for model in models:
        try:
            return look(model)
        except XaiError as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _distinct(entries: list[Entry], error: type[XaiError], what: str) -> tuple[Entry, ...]:
    labels = [entry.label for entry in entries]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice is not None:
        raise error(f"{twice!r} is among the {what} twice: leave one out.")
    return tuple(entries)
