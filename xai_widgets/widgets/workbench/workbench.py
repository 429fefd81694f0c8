"""The concept workbench: annotate concepts by clicking, test them with TCAV, scrub them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from traitlets import observe

from xai_widgets.concepts.cav import CLASSIFIERS
from xai_widgets.concepts.evidence import Evidence
from xai_widgets.concepts.fits import Fits
from xai_widgets.concepts.layout import clean_name
from xai_widgets.concepts.options import MIN_EXAMPLES
from xai_widgets.concepts.store import ConceptStore
from xai_widgets.errors import StoreConflict, StoreError, XaiError
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.widgets.base import StateError, failure
from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.describe import layer_record, setup
from xai_widgets.widgets.engine import Outcome, Task
from xai_widgets.widgets.protocol import FINAL_KINDS, Message
from xai_widgets.widgets.workbench.edit_queue import EditQueue
from xai_widgets.widgets.workbench.edits import Editor
from xai_widgets.widgets.workbench.features import ConceptFeatures
from xai_widgets.widgets.workbench.images import ClassImages
from xai_widgets.widgets.workbench.job import ConceptJob
from xai_widgets.widgets.workbench.pictures import Pictures
from xai_widgets.widgets.workbench.reading import WorkbenchReading
from xai_widgets.widgets.workbench.scores import Scored
from xai_widgets.widgets.workbench.shelf import shelf
from xai_widgets.widgets.workbench.state import STATE
from xai_widgets.widgets.workbench.suggesting import Suggesting

if TYPE_CHECKING:
    from xai_widgets.widgets.gallery.gallery import FeatureGallery

PATIENCE_SECONDS = 5.0
DEFAULT_FOLDER = "concepts"
ORDER = ("picture", "prediction", "bars", "map", "sweep")


class ConceptWorkbench(WorkbenchReading):
    """Collect examples of concepts in pictures, and test what a model makes of them.

    Annotations are written to the store at every change. A test runs in the background; from then
    on every change of state or of the examples is scored again, from activations that are kept.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    images
        A path, folder, sequence of images, or array [N, H, W, C]; opened one by one.
    store
        A `ConceptStore`, or the path of its folder; by default the folder "concepts" here.
    classes
        The true class of each image, as positions in the outputs. Without them, a class is tested
        on the images that the model predicts as it. Where fewer than 8 images are of the class,
        it is tested on all, and each record's "note" says so.
    labels
        Names of the outputs, where the model does not carry them.
    traits
        Initial values of the traits below.

    Attributes
    ----------
    image_index : int
        Position of the image on screen, from 0.
    concept : str or None
        The concept that is annotated and shown; None for the first.
    layer : str or None
        The layer that map and sweep are about; None for the recommended one.
    layers : list of str
        The layers that are tested; empty for the recommended one and the main ones before it.
    target : dict or None
        The class, in the Explorer's form; may be set to a class position, a label or a
        `ClassTarget`. None follows the class that is predicted for the image on screen.
    compare : list of int
        Other classes whose scores stand beside.
    classifier : str
        "ridge", "mean_difference", "logistic" or "svm".
    pooled : bool
        Look at the mean of the activations over the picture, else at all of them.
    against : str
        "random": each concept against random sets; "others": against the other concepts.
    testing : bool
        True after "Test": every change is scored again.

    Raises
    ------
    ImageError, ModelError, StoreError
        If there are no images, the model cannot be loaded, or the folder is something else.
    StateError
        If a trait is set to something that does not exist; the one from before stays.
    """

    bundle_name = "workbench"

    def __init__(
        self,
        model: Any,
        images: Any,
        store: ConceptStore | str | Path | None = None,
        classes: Sequence[int] | npt.NDArray[np.integer[Any]] | None = None,
        labels: Sequence[str] | None = None,
        **traits: Any,
    ) -> None:
        self.images = ImageSet(images)
        loaded = load(model, labels=labels)
        self.store = (
            store if isinstance(store, ConceptStore) else ConceptStore(store or DEFAULT_FOLDER)
        )
        self._promised = set()
        self.pictures = Pictures(self.images)
        self.class_images = ClassImages(loaded, self.images, self.pictures, classes)
        self.editor = Editor(self.store, self.images, self.pictures)
        self._evidence: Evidence | None = None
        self.fits = Fits()
        self._keys: dict[str, Any] = {}  # what messages were made from
        self._conflict: str | None = None
        self._shelf: dict[str, Any] | None = None
        self._scored: Scored | None = None
        self._edits, self._reading = EditQueue(), EditQueue("xai-widgets-reading")
        super().__init__(loaded, **traits)
        self._features = ConceptFeatures(self, lambda told: self._reply("opened", told))
        self.when_closed(self._features.close_all)
        self._suggesting = Suggesting(self)
        self._start()

    # The job ------------------------------------------------------------------------------

    @observe(*STATE)
    def _changed(self, change: Any) -> None:
        if self._task is not None:
            self._start()

    def _start(self) -> Task:
        """Turn the present state into a job that replaces the one before."""
        with self._state_lock:
            self._revision += 1
            for kind in (*FINAL_KINDS, "progress"):
                self._shown.pop(kind, None)
            self._error = None
            request = self._request()
            self._tell("accepted", request.to_dict(), self._revision)
            job = ConceptJob(self, request)
            self._task = self._submit("concepts", job.steps(), job.finish)
            return self._task

    def evidence(self, layers: Sequence[str], pooled: bool) -> Evidence:
        """Return what is known of pictures at some layers; everything is remembered in one place.

        Raises
        ------
        ConceptError
            If there are no layers.
        """
        if self._evidence is None:
            self._evidence = Evidence(self.model, layers, pooled)
        return self._evidence.at(layers, pooled)

    def _withdraw(self, kinds: Sequence[str], revision: int) -> None:
        """Forget messages that no longer belong to the state."""
        with self._state_lock:
            if revision == self._revision:
                for kind in kinds:
                    self._shown.pop(kind, None)

    def _keep(self, scored: Scored | None, revision: int) -> None:
        with self._state_lock:
            if revision == self._revision:
                self._scored = scored

    # Results ------------------------------------------------------------------------------

    def test(self) -> list[dict[str, Any]]:
        """Test the concepts, as the button does; waits for the records and returns them.

        Raises
        ------
        XaiError
            If they cannot be tested: the sentence that the workbench shows.
        """
        if self.testing:
            self._start()
        self.testing = True
        return self.records

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of the test on screen, as `tcav` gives them; waits for edits and jobs.

        They are those of the last test, which may be one that was kept in the store's folder and,
        unless `testing` is set, of other settings or examples than those on screen: the sentence
        beside the scores then says so.

        Raises
        ------
        XaiError
            If nothing was tested, or the test failed: the sentence that the workbench shows.
        """
        return [dict(record) for record in self._finished().records]

    @property
    def vectors(self) -> dict[tuple[str, str], npt.NDArray[np.float32]]:
        """The unit concept activation vectors by (concept, layer); waits as `records` does."""
        return dict(self._finished().vectors)

    def _finished(self) -> Scored:
        self._edits.wait()
        return self._waited(self._tested)

    def _tested(self) -> Scored | None:
        if self._scored is None and not self.testing:
            raise StateError("Nothing was tested yet: call test(), or press Test.")
        return self._scored

    def suggest(self, concept: str | None = None) -> list[dict[str, Any]]:
        """Return unlabelled superpixels that are like a concept, the most similar first; waits.

        Parameters
        ----------
        concept
            Its name; by default the one that is shown.

        Returns
        -------
        list of dict
            "index" and "name" of the picture, "region", "similarity" (a cosine) and "array", a
            thumbnail uint8 [h, w, 3].

        Raises
        ------
        XaiError
            If there is no such concept, or it cannot be looked for.
        """
        return self._suggesting.wait(concept)

    def look_closer(self, concept: str | None = None) -> "FeatureGallery":
        """Show what a concept's vector looks for, in a feature gallery below.

        Parameters
        ----------
        concept
            Its name; by default the one that is shown.

        Returns
        -------
        FeatureGallery
            The one that is open already, if there is one, to which the vector is added.

        Raises
        ------
        XaiError
            If the concept was not tested yet, so that it has no vector, or could not be.
        """
        return self._features.send(concept)

    @property
    def vectors_found(self) -> Mapping[tuple[str, str], npt.NDArray[np.float32]]:
        """The vectors of the test on screen; empty without one, waits for nothing."""
        scored = self._scored
        return {} if scored is None else scored.vectors

    def refresh(self) -> None:
        """Show what was changed in the store from Python, or by another kernel."""
        self._edit({"op": "refresh"})
        self._edits.wait()

    # Edits --------------------------------------------------------------------------------

    def _on_edit(self, message: Message) -> None:
        edit = dict(message.payload)
        if edit.get("op") in ("create_concept", "change_concept"):
            with suppress(StoreError):  # the edit will be refused
                self._promised.add(clean_name(str(edit.get("to") or edit.get("name"))))
        self._edit(edit, lambda ok, text: self._saved(message, ok, text))

    def _saved(self, message: Message, ok: bool, text: str | None) -> None:
        self._reply("saved", {"id": message.id, "ok": ok, "message": text}, self._revision)

    def _edit(
        self,
        edit: Mapping[str, Any],
        answer: Callable[[bool, str | None], None] = lambda ok, text: None,
    ) -> None:
        """Queue an edit; the answer comes once it is on disk, or was refused."""

        def work() -> None:
            problem = self.make_edit(edit)
            if problem is None:
                self._suggesting.drop(edit)
            answer(problem is None, problem)
            self.tell_shelf(always=True)
            if problem is None and self.comm is not None:
                self._start()

        self._edits.put(work)

    def make_edit(self, edit: Mapping[str, Any]) -> str | None:
        """Make an edit; return the sentence on why it cannot be made, or None."""
        problem = None
        try:
            self.editor.apply(edit)
            self._conflict = None if edit.get("op") == "refresh" else self._conflict
        except StoreConflict as error:
            problem = self._conflict = str(error)
        except Exception as error:
            problem = failure(Outcome("error", error))["message"]
        return problem

    def in_order(self, work: Callable[[], None]) -> None:
        """Do something after the edits that were asked for before, on their thread."""
        self._edits.put(work)

    def tell_shelf(self, always: bool = False) -> None:
        """Send the shelf if it is another one than was sent last."""
        with self._state_lock:
            records = [] if self._scored is None else self._scored.records
            payload = shelf(
                self.store, self.editor, self.pictures, self._conflict, MIN_EXAMPLES, records
            )
            if always or payload != self._shelf:
                self._shelf = payload
                self._reply("shelf", payload, self._revision)

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            if message.payload.get("module"):  # what shows scores is no part of what is saved
                code = {"script": bundle("scores.js"), "style": bundle("scores.css")}
                self._reply("module", code, self._revision)
            self._reply("setup", self._about(), self._revision)
            self._reply("accepted", self._shown.get("accepted", {}), self._revision)
            self.tell_shelf(always=True)
            for kind in (*ORDER, *FINAL_KINDS):
                if kind in self._shown:
                    self._reply(kind, self._shown[kind], self._revision)
            self._suggesting.tell()
            if self._features.payload()["tools"]:
                self._reply("opened", self._features.payload(), self._revision)

    def _about(self) -> dict[str, Any]:
        """Return the payload of the `setup` message."""
        about = setup(self.model, len(self.images))
        about["layers"] += [layer_record(layer) for layer in self.model.vector_layers]
        classifiers = [{"name": name, "title": title} for name, title in CLASSIFIERS.items()]
        return {**about, "classifiers": classifiers, "folder": str(self.store.folder)}

    def _on_cancel(self, message: Message) -> None:
        self._engine.cancel(self._owner, "concepts")
        self._engine.cancel(self._owner, "suggest")

    def _on_retry(self, message: Message) -> None:
        self._start()

    def _on_open(self, message: Message) -> None:
        self._features.ask(
            str(message.payload.get("tool")), bool(message.payload.get("open", True))
        )

    def _on_suggest(self, message: Message) -> None:
        self._suggesting.start(message.payload.get("concept"))

    # Display ------------------------------------------------------------------------------

    def to_png(self) -> bytes:
        """Draw the shelf and the scores; waits for what is being computed."""
        self._edits.wait()
        with suppress(XaiError):  # what cannot be tested can still be shown
            self._waited(lambda: True)
        return self._drawn()

    def _first_png(self) -> bytes:
        """Draw what there is: a test of hundreds of images must not keep the cell waiting."""
        if self._task is not None:
            self._task.wait(PATIENCE_SECONDS)
        return self._drawn()

    def _drawn(self) -> bytes:
        from xai_widgets.widgets.workbench.picture import draw_workbench

        records = [] if self._scored is None else self._scored.records
        return draw_workbench(self.store, records)

    def close(self) -> None:
        """Finish the edits, stop what is running, and remove the widget from all views."""
        if self.comm is not None:  # else nothing was ever asked of it
            self._edits.wait()
            self._engine.cancel(self._owner)
            with self._state_lock:
                self._evidence, self.fits, self._scored = None, Fits(), None
            self._suggesting.forget()
        super().close()
