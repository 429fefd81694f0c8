"""One job of the concept workbench: picture, prediction, scores, map and sweep."""

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from xai_widgets.concepts.maps import concept_map
from xai_widgets.concepts.scrub import scrub_steps
from xai_widgets.errors import ConceptError, LayerError, XaiError
from xai_widgets.explainers.run import predicted_outputs
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import ClassTarget, resolve_target
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import picture, prediction
from xai_widgets.widgets.engine import Outcome, Steps
from xai_widgets.widgets.workbench.kept import restore, save
from xai_widgets.widgets.workbench.scores import Question, Scored, score_steps
from xai_widgets.widgets.workbench.state import Request, shown_layer, tested_layers

if TYPE_CHECKING:
    from xai_widgets.widgets.workbench.workbench import ConceptWorkbench

STAGES = {
    "load": ("picture", "prediction", "map", "sweep"),
    "predict": ("prediction", "map", "sweep"),
    "score": ("bars", "map", "sweep"),
    "explain": ("map", "sweep"),
}
"""What each stage sends, and so what no longer holds where it fails."""
POLL_SECONDS = 0.02
MAX_PROBLEMS = 3


class ConceptJob:
    """Shows a picture, scores the concepts, and looks at the selected one in the picture."""

    def __init__(self, workbench: "ConceptWorkbench", request: Request) -> None:
        self._workbench = workbench
        self._request = request
        self._stage = "load"
        self._cached = True
        self._started = time.perf_counter()
        self._layer: str | None = None
        self._target: ClassTarget | None = None
        self._notes: list[dict[str, str]] = []

    def steps(self) -> Steps:
        """Do the work, yielding wherever it may be cancelled."""
        request, workbench = self._request, self._workbench
        model = workbench.model
        index = request.image_index
        image = model.prepare(workbench.pictures(index), workbench.images.name(index))
        self._tell_new("picture", (index, image.display.key), picture, image, index)
        workbench.tell_shelf()
        for problem in workbench.store.problems[:MAX_PROBLEMS]:
            self._note(problem)
        yield
        self._stage = "predict"
        outputs = predicted_outputs(model, image)
        key = (index, image.key, model.fingerprint)
        self._tell_new("prediction", key, prediction, model, outputs, index)
        yield
        self._stage = "score"
        asked = request.target or ClassTarget(model.predicted_class(outputs))
        target = resolve_target(asked, model.labels, 0)
        assert isinstance(target, ClassTarget)
        self._target = target
        question = question_of(workbench, request, target)
        scored = yield from self._score(question)
        self._stage = "explain"
        yield from self._look(image, target, scored)

    def finish(self, outcome: Outcome) -> None:
        """Send the one final message, and take back what is no longer true."""
        workbench, revision = self._workbench, self._request.revision
        payload: dict[str, Any]
        if outcome.kind == "error":
            gone = list(STAGES[self._stage])
            payload = {**failure(outcome), "stage": self._stage, "withdrawn": gone}
            workbench._withdraw(gone, revision)
            if self._stage == "score":
                workbench._keep(None, revision)
        elif outcome.kind == "cancelled":
            payload = {"message": "Cancelled: this is what there was."}
        else:
            payload = {
                "seconds": round(time.perf_counter() - self._started, 3),
                "cached": self._cached,
                "target": None if self._target is None else self._target.to_dict(),
                "layer": self._layer,
                "facts": [],
                "notes": self._notes,
            }
        workbench._end(revision, outcome, payload)

    # Scores -------------------------------------------------------------------------------

    def _score(self, question: Question) -> Generator[None, None, Scored | None]:
        """Give the scores of a question, from memory, from disk, or anew where that is asked."""
        workbench, testing = self._workbench, self._request.testing
        if testing:
            yield from random_set(workbench, question, self._progress)
        trained_with = workbench.store.data_hash()
        key = (
            "concept scores",
            workbench.model.fingerprint,
            question,
            trained_with,
            tuple(workbench.store.names),
            workbench._owner,  # stands for its images and their classes
        )
        cache = workbench._engine.cache
        scored: Scored | None = cache.get(key)
        if scored is None or (testing and scored.stored):
            if testing:
                self._cached = False
                found = yield from self._test(question)
                scored = replace(found, asked=question.to_dict(), trained_with=trained_with)
                if workbench.store.data_hash() == trained_with:  # else another job is on its way
                    cache.put(key, scored, scored.nbytes)
                    self._save(scored, question, trained_with)
            else:
                scored = self._without_test(question)
        if scored is not None:
            self._show(scored, self._stale(scored, question, trained_with))
        return scored

    def _without_test(self, question: Question) -> Scored | None:
        """Give what is known without computing: what is on screen, or what lies on disk."""
        workbench = self._workbench
        if workbench._scored is not None:
            return workbench._scored
        scored, note = restore(question, workbench.model, workbench.class_images, workbench.store)
        if note is not None:
            self._note(note)
        return scored

    def _stale(self, scored: Scored, question: Question, trained_with: str) -> str | None:
        """Say why scores on screen are not the answer to what is asked now."""
        if scored.trained_with != trained_with:
            return "The examples have changed since this test: press Test."
        asked = question.target.text(self._workbench.model.labels)
        if scored.target_text != asked:
            return f"These scores are for {scored.target_text}: press Test for {asked}."
        if scored.elsewhere:
            return "From a test on other images: press Test."
        if scored.asked not in (None, question.to_dict()):
            if scored.stored:
                return "From the last test, which had other settings: press Test for these."
            return "The settings have changed since this test: press Test."
        return None

    def _test(self, question: Question) -> Generator[None, None, Scored]:
        workbench = self._workbench
        reason = workbench.model.capabilities.reason(("layer_gradients",))
        if reason is None and not question.layers:
            reason = "It shows no layer with positions on the picture: choose a layer yourself."
        if reason is not None:
            raise ConceptError(f"Concepts cannot be tested on this model. {reason}")
        view = workbench.evidence(question.layers, question.pooled)
        images, store = workbench.class_images, workbench.store
        stream = score_steps(question, view, workbench.fits, images, store)
        try:
            while True:
                told = next(stream)
                if told.found is not None:
                    self._show(told.found)
                self._progress(told.done, told.total, told.text)
                yield
        except StopIteration as stop:
            scored: Scored = stop.value
        finally:
            stream.close()
        workbench.tell_shelf()
        return scored

    def _save(self, scored: Scored, question: Question, trained_with: str) -> None:
        workbench = self._workbench
        images = workbench.class_images
        try:
            save(scored, question, trained_with, workbench.model, images, workbench.store)
        except XaiError as error:
            self._note(f"The scores were not saved. {error}")

    def _show(self, scored: Scored, note: str | None = None) -> None:
        self._workbench._keep(scored, self._request.revision)
        self._tell_new("bars", (scored, note), scored.bars, note)

    # The picture --------------------------------------------------------------------------

    def _look(self, image: PreparedImage, target: ClassTarget, scored: Scored | None) -> Steps:
        """Show where the selected concept acts in the picture, and what more of it would do."""
        workbench, model, request = self._workbench, self._workbench.model, self._request
        layers = tested_layers(model, request.layers, request.layer)
        layer = self._layer = shown_layer(model, layers, request.layer)
        concept = selected(workbench, request)
        vector = None
        if scored is not None and concept is not None and layer is not None:
            vector = scored.vectors.get((concept, layer))
        if vector is None or concept is None or layer is None:
            workbench._withdraw(("map", "sweep"), request.revision)
            return
        if not vector.any():
            self._note(f"{concept!r} has no direction at {layer!r}: nothing tells it apart there.")
            workbench._withdraw(("map", "sweep"), request.revision)
            return
        try:
            self._tell("map", self._map(image, target, concept, layer, vector))
        except LayerError as error:  # a layer of vectors has no places, but a direction
            self._note(str(error))
            workbench._withdraw(("map",), request.revision)
        yield
        stream = scrub_steps(model, image, layer, vector)
        while True:
            try:
                next(stream)
                yield
            except StopIteration as stop:
                sweep = stop.value
                break
        payload = {
            "concept": concept,
            "layer": layer,
            "epsilons": sweep.epsilons,
            "outputs": np.asarray(sweep.outputs, dtype=np.float32),
            "probabilities": sweep.probabilities,
        }
        self._tell("sweep", payload)

    def _map(
        self, image: PreparedImage, target: ClassTarget, concept: str, layer: str, vector: Any
    ) -> dict[str, Any]:
        found = concept_map(self._workbench.model, image, target, layer, vector)
        return {
            "key": f"{self._request.revision}",
            "partial": False,
            "array": found.values,
            "placement": image.placement.to_dict(),
            "signed": True,
            "method": "concept",
            "method_title": f"Where {concept} acts",
            "layer": layer,
            "target": target.to_dict(),
            "target_text": target.text(self._workbench.model.labels),
            "score": found.score,
        }

    # Parts --------------------------------------------------------------------------------

    def _tell(self, kind: str, payload: dict[str, Any]) -> None:
        self._workbench._tell(kind, payload, self._request.revision)

    def _tell_new(self, kind: str, key: Any, make: Callable[..., Any], *given: Any) -> None:
        """Send a message, unless the views show just that."""
        workbench = self._workbench
        with workbench._state_lock:
            shown = kind in workbench._shown and workbench._keys.get(kind) == key
            if not shown and self._request.revision == workbench._revision:
                workbench._keys[kind] = key
                self._tell(kind, make(*given))

    def _progress(self, done: int, total: int, text: str) -> None:
        payload = {"done": done, "total": total, "stage": "explain", "text": text}
        self._workbench._reply("progress", payload, self._request.revision)

    def _note(self, text: str) -> None:
        self._notes.append({"level": "warning", "text": text})


def question_of(workbench: "ConceptWorkbench", request: Request, target: ClassTarget) -> Question:
    """Return what a request asks about its concepts."""
    return Question(
        target=target,
        others=tuple(ClassTarget(index) for index in request.compare),
        layers=tuple(tested_layers(workbench.model, request.layers, request.layer)),
        classifier=request.classifier,
        pooled=request.pooled,
        against=request.against,
    )


def selected(workbench: "ConceptWorkbench", request: Request) -> str | None:
    """Return the concept that is shown: the selected one, else the first."""
    names = workbench.store.names
    if request.concept in names:
        return request.concept
    own = (concept.name for concept in workbench.store.concepts if concept.role == "concept")
    return next(own, None)


def random_set(
    workbench: "ConceptWorkbench", question: Question, tell: Callable[[int, int, str], None]
) -> Steps:
    """Make a random set where a test needs one and there is none; the shelf then shows it."""
    concepts = workbench.store.concepts
    if question.against != "random" or not any(c.examples for c in concepts if c.role == "concept"):
        return
    if any(c.included for c in concepts if c.role == "random"):
        return
    made, problems = threading.Event(), []

    def work() -> None:
        try:
            # A job that this one took the place of may have asked for it as well.
            there = any(c.included for c in workbench.store.concepts if c.role == "random")
            problems.append(None if there else workbench.make_edit({"op": "random"}))
            workbench.tell_shelf()
        finally:
            made.set()

    tell(0, 0, "Cutting random examples out of the images")
    workbench.in_order(work)
    while not made.wait(POLL_SECONDS):
        yield
    if problems[0] is not None:
        raise ConceptError(problems[0])
