"""Suggestions of a workbench: unlabelled superpixels that are like a concept."""

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_widgets.concepts.records import Example
from xai_widgets.concepts.suggestions import Suggestion, suggest
from xai_widgets.errors import ConceptError, XaiError
from xai_widgets.models.images import DisplayImage
from xai_widgets.models.targets import ClassTarget, resolve_target
from xai_widgets.regions import region_mask
from xai_widgets.superpixels import LabelMap, segment
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.engine import Outcome, Steps, Task
from xai_widgets.widgets.regions import crop
from xai_widgets.widgets.workbench.job import question_of, random_set, selected
from xai_widgets.widgets.workbench.scores import Floats, vector_steps
from xai_widgets.widgets.workbench.state import shown_layer, tested_layers

if TYPE_CHECKING:
    from xai_widgets.widgets.workbench.workbench import ConceptWorkbench

THUMBNAIL_SIDE = 96
SEGMENTED_SIDE = 192
CONTEXT = 0.25
"""How much of the surroundings a thumbnail shows, as a share of the superpixel's sides."""


class Suggesting:
    """Looks for examples beside the job, and keeps what it found until it is decided on.

    Parameters
    ----------
    workbench
        Whose concepts and images are looked at.
    """

    def __init__(self, workbench: "ConceptWorkbench") -> None:
        self._workbench = workbench
        self._task: Task | None = None
        self._shown: dict[str, Any] | None = None
        self._error: str | None = None

    def start(self, concept: str | None) -> Task:
        """Look for examples of a concept; an earlier search is cancelled. Returns at once."""
        found: dict[str, Any] = {"concept": concept or "", "layer": None, "items": []}

        def finish(outcome: Outcome) -> None:
            message = None
            if outcome.kind == "error":
                message = failure(outcome)["message"]
            elif outcome.kind == "cancelled":
                message = "Cancelled."
            elif not found["items"]:
                message = (
                    "Nothing is left to suggest: every superpixel is annotated, or was rejected."
                )
            with self._workbench._state_lock:
                self._error = message
                self._shown = {**found, "message": message}
                self.tell()

        steps = self._steps(concept, found)
        self._task = self._workbench._submit("suggest", steps, finish, background=True)
        return self._task

    def wait(self, concept: str | None) -> list[dict[str, Any]]:
        """Look for examples and return them; raises the sentence where that is not possible."""
        self._workbench._edits.wait()
        self.start(concept).wait()
        with self._workbench._state_lock:
            if self._shown is None or self._error is not None:
                raise XaiError(self._error or "The workbench is closed.")
            return [dict(item) for item in self._shown["items"]]

    def tell(self) -> None:
        """Send what was found last."""
        if self._shown is not None:
            self._workbench._reply("suggestions", self._shown, self._workbench._revision)

    def forget(self) -> None:
        """Let go of what was found."""
        with self._workbench._state_lock:
            self._shown = None

    def drop(self, edit: Mapping[str, Any]) -> None:
        """Take off the list what was accepted or rejected."""
        with self._workbench._state_lock:
            if self._shown is None or edit.get("op") not in ("add", "reject"):
                return
            decided = (edit.get("index"), edit.get("region"))
            left = [i for i in self._shown["items"] if (i["index"], i["region"]) != decided]
            self._shown = {**self._shown, "items": left}

    def _steps(self, concept: str | None, found: dict[str, Any]) -> Steps:
        workbench = self._workbench
        request = workbench._request()
        name = concept or selected(workbench, request)
        if name is None:
            raise ConceptError("There is no concept to look for: make one and give it examples.")
        workbench.store.concept(name)
        layers = tested_layers(workbench.model, request.layers, request.layer)
        layer = shown_layer(workbench.model, layers, request.layer)
        if layer is None:
            raise ConceptError(
                f"{workbench.model.name} has no layer with places on the picture to look at."
            )
        found.update(concept=name, layer=layer)
        vector = yield from self._vector(name, layer)
        evidence = workbench.evidence([layer], request.pooled)
        marked = self._marked(name)
        stream = workbench.class_images.every(
            lambda images: suggest(evidence, images, layer, vector, marked, segments=_coarse)
        )
        while True:
            try:
                step = next(stream)
                self._progress(step.done, step.total, f"Looking for {name}")
                yield
            except StopIteration as stop:
                suggestions: list[Suggestion] = stop.value
                break
        for suggestion in suggestions:
            found["items"].append(self._item(suggestion))
            yield

    def _vector(self, concept: str, layer: str) -> Generator[None, None, Floats]:
        """Give a concept's vector: that of the last test, or of a first, short one."""
        workbench = self._workbench
        request = workbench._request()
        scored = workbench._scored
        target = resolve_target(request.target or ClassTarget(0), workbench.model.labels, 0)
        assert isinstance(target, ClassTarget)
        question = question_of(workbench, request, target)
        how = {key: question.to_dict()[key] for key in ("classifier", "pooled", "against")}
        if scored is not None and scored.trained_with == workbench.store.data_hash():
            asked = scored.asked or {}
            if how.items() <= asked.items() and (concept, layer) in scored.vectors:
                return scored.vectors[concept, layer]
        yield from random_set(workbench, question, self._progress)
        view = workbench.evidence([layer], request.pooled)
        images, store = workbench.class_images, workbench.store
        stream = vector_steps(question, concept, view, workbench.fits, images, store)
        while True:
            try:
                told = next(stream)
            except StopIteration as stop:
                vector: Floats = stop.value
                return vector
            self._progress(told.done, told.total, told.text)
            yield

    def _marked(self, concept: str) -> dict[str, list[Any]]:
        """Return the regions that are not suggested: annotated ones, and those rejected here."""
        marked: dict[str, list[Any]] = {}
        for each in self._workbench.store.concepts:
            examples = each.examples if each.role == "concept" else ()
            rejected = each.rejected if each.name == concept else ()
            for example in (*examples, *rejected):
                index = self._workbench.pictures.index_of(example)
                if index is not None:
                    marked.setdefault(f"image {index}", []).append(_mask(example))
        return marked

    def _item(self, suggestion: Suggestion) -> dict[str, Any]:
        index = int(suggestion.key.split()[-1])
        image = self._workbench.pictures(index)
        return {
            "index": index,
            "name": image.name,
            "region": suggestion.region,
            "similarity": suggestion.similarity,
            "array": _thumbnail(image, suggestion.region),
        }

    def _progress(self, done: int, total: int, text: str) -> None:
        payload = {"done": done, "total": total, "stage": "explain", "text": text}
        self._workbench._reply("progress", payload, self._workbench._revision)


def _coarse(image: DisplayImage) -> LabelMap:
    """Cut a picture into superpixels on a coarse grid, a quarter of the time for many pictures."""
    return segment(DisplayImage(image.resized(SEGMENTED_SIDE), image.name))


def _mask(example: Example) -> Any:
    """Return an example's region as bool [H, W]; its picture need not be opened."""
    assert example.image is not None
    size = (max(1, example.image.height), max(1, example.image.width))
    if example.region is None:
        return np.ones(size, dtype=bool)
    blank = DisplayImage(np.broadcast_to(np.uint8(0), (*size, 3)), example.image.name)
    return region_mask(example.region, blank, _no_superpixels)


def _no_superpixels() -> LabelMap:
    raise ConceptError("Stored regions hold no superpixels.")


def _thumbnail(image: DisplayImage, region: Mapping[str, Any]) -> Any:
    """Return a superpixel with some of its surroundings, uint8 [h, w, 3]."""
    mask = region_mask(region, image, _no_superpixels)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    box = {
        "x": int(columns[0]) - CONTEXT * width,
        "y": int(rows[0]) - CONTEXT * height,
        "width": (1 + 2 * CONTEXT) * width,
        "height": (1 + 2 * CONTEXT) * height,
    }
    return crop(image, box, THUMBNAIL_SIDE)[0]
