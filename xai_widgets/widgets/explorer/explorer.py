"""The Explorer: pick an image, a class, a layer and a method, and see why the model says so."""

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from traitlets import observe

from xai_widgets.errors import MethodError, XaiError
from xai_widgets.explanation import Explanation
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, FunctionTarget, RegionTarget
from xai_widgets.superpixels import LabelMap, segment
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.bundles import bundle
from xai_widgets.widgets.checking import checked, report_payload
from xai_widgets.widgets.companions import ExplorerCompanions
from xai_widgets.widgets.describe import first_method, setup
from xai_widgets.widgets.engine import Outcome, Steps, Task
from xai_widgets.widgets.explorer.job import ExplorerJob, Request, Shown
from xai_widgets.widgets.explorer.state import STATE, ExplorerState
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.protocol import Message
from xai_widgets.widgets.regions import crop, region_mask
from xai_widgets.widgets.thumbnails import send_thumbnails

MAX_BACKGROUND = 16
MAX_CROP_SIDE = 2048


class Explorer(ExplorerState, PicturedWidget):
    """Explain a model's predictions on some images by clicking.

    Every trait can be read, set and linked to other widgets; setting one starts a computation in
    the background, and the newest state wins. Opacity, threshold, colours, sign, scale and zoom
    belong to the browser.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    images
        A path, folder, sequence of images, or array [N, H, W, C]; opened one by one.
    labels
        Names of the outputs, where the model does not carry them.
    traits
        Initial values of the traits below.

    Attributes
    ----------
    image_index : int
        Position of the image, from 0.
    target : dict or None
        ``{"kind": "class", "index": 3, "versus": None}``; None follows the predicted class. May be
        set to a class position, a label, a `ClassTarget`, a `LayerTarget` (``{"kind": "layer",
        "layer", "channel", "position", "reduce"}``) or a function of the output as well. The
        class of a segmentation is explained over `region`, where one is marked.
    layer : str or None
        For methods that look at a layer; None for the recommended one.
    method : str
        A name out of `methods(model)`; "" where none applies.
    parameters : dict
        By method, only what differs from the defaults: ``{"smoothgrad": {"n_samples": 50}}``.
    region : dict or None
        A marked region in display-image pixels: ``{"type": "rect", "x", "y", "width", "height"}``,
        ``{"type": "polygon", "points": [[x, y], ...]}``, ``{"type": "superpixels", "ids": [...]}``
        or ``{"type": "mask", "size": [height, width], "counts": [...]}`` (run lengths).
    ablation : str or None
        "blur", "mean" or "black": also predict with the region filled.

    Raises
    ------
    ImageError, ModelError
        If there are no images, or the model cannot be loaded.
    """

    bundle_name = "explorer"

    def __init__(
        self, model: Any, images: Any, labels: Sequence[str] | None = None, **traits: Any
    ) -> None:
        self.images = ImageSet(images)
        loaded = load(model, labels=labels)
        self._state_lock = threading.RLock()
        self._shown = Shown()
        self._task: Task | None = None
        self._segments: dict[str, LabelMap] = {}
        self.functions: dict[str, FunctionTarget] = {}  # by name, as they cannot be sent
        self._checked: dict[str, Any] | None = None
        self._checking: dict[str, Any] | None = None  # progress of the running check
        self._companions = ExplorerCompanions(self, self._tell_opened)
        self.when_closed(self._companions.close_all)
        if "method" not in traits:
            traits["method"] = first_method(loaded)
        super().__init__(loaded, **traits)
        self._start()

    @observe(*STATE)
    def _changed(self, change: Any) -> None:
        if self._task is None:
            return
        if change["name"] == "image_index":
            self._companions.image_changed()
        if change["name"] == "image_index" and self.region is not None:
            self.region = None  # a region belongs to its picture; this starts the job
        else:
            self._start()

    # Jobs ---------------------------------------------------------------------------------

    def _start(self) -> None:
        """Turn the present state into a job that replaces the one before."""
        with self._state_lock:
            self._revision += 1
            state = {name: getattr(self, name) for name in STATE}
            request = Request(self._revision, **state)
            self._shown.accept(request)
            self._reply("accepted", request.to_dict(), request.revision)
            job = ExplorerJob(self, request)
            self._task = self._submit("explain", job.steps(), job.finish)

    @contextmanager
    def current(self, request: Request) -> Iterator[Shown | None]:
        """Hold the state still and give what is shown, or None if a newer job took over."""
        with self._state_lock:
            yield self._shown if request.revision == self._revision else None

    def target_of(self, request: Request, image: DisplayImage, predicted: int) -> Any:
        """Return what a request explains: a segmentation's class over the region, if any."""
        wire: dict[str, Any] = request.target or ClassTarget(predicted).to_dict()
        if wire["kind"] == "function":
            return self.functions[wire["name"]]
        if self.model.task != "segmentation" or not request.region or wire["kind"] != "class":
            return wire
        mask = region_mask(request.region, image, lambda: self.superpixels(image))
        return RegionTarget(wire["index"], mask, wire["versus"], request.region)

    def background(self, index: int) -> list[DisplayImage]:
        """Return up to sixteen of the other pictures, evenly spread; broken ones are left out.

        Raises
        ------
        MethodError
            If there is no other picture.
        """
        others = [other for other in range(len(self.images)) if other != index]
        found = []
        for other in others[:: max(1, math.ceil(len(others) / MAX_BACKGROUND))]:
            try:
                found.append(self.images[other])
            except XaiError:
                continue
        if not found:
            raise MethodError(
                "The background 'images' needs other pictures beside this one: choose another "
                "background, or give the Explorer more images."
            )
        return found

    def superpixels(self, image: DisplayImage) -> LabelMap:
        """Return the superpixels of a picture, uint16 [h, w]; the last few are remembered."""
        if image.key not in self._segments:
            while len(self._segments) > 8:
                self._segments.pop(next(iter(self._segments)))
            self._segments[image.key] = segment(image)
        return self._segments[image.key]

    @property
    def explanation(self) -> Explanation:
        """The explanation of the present state; waits for a running job.

        Raises
        ------
        XaiError
            If there is none: the sentence that the widget shows.
        """
        task = self._task
        while task is not None:
            task.wait()
            if task is self._task:
                break
            task = self._task
        if self._shown.failure is not None:
            raise XaiError(self._shown.failure)
        if self._shown.explanation is None:
            if not self.method:
                raise XaiError("No method can explain this model: it only predicts.")
            self._start()
            return self.explanation
        return self._shown.explanation

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            self._reply("setup", setup(self.model, len(self.images)), self._revision)
            for kind, payload in self._shown.messages():
                self._reply(kind, payload, self._revision)
            if self._companions.payload()["tools"]:
                self._tell_opened(self._companions.payload())
            if self._checked is not None:
                self._reply("report", self._checked, self._revision)
            if self._checking is not None:
                self._reply("checking", self._checking, self._revision)

    def _on_cancel(self, message: Message) -> None:
        lane = "check" if message.payload.get("check") else "explain"
        self._engine.cancel(self._owner, lane)

    def _on_retry(self, message: Message) -> None:
        self._start()

    def _on_thumbnails(self, message: Message) -> None:
        send_thumbnails(self, self.images, message)

    def _on_superpixels(self, message: Message) -> None:
        index = self.image_index
        reply: dict[str, Any] = {"index": index, "array": None, "n": 0, "error": None}

        def steps() -> Steps:
            labels = self.superpixels(self.images[index])
            reply.update(array=labels, n=int(labels.max()) + 1)
            yield

        self._answer("superpixels", steps(), reply)

    def _on_crop(self, message: Message) -> None:
        box = dict(message.payload)
        reply: dict[str, Any] = {**box, "array": None, "error": None}

        def steps() -> Steps:
            image = self.images[int(box["index"])]
            pixels, shown = crop(image, box, min(int(box["max_px"]), MAX_CROP_SIDE))
            reply.update(shown, array=pixels)
            yield

        self._answer("crop", steps(), reply)

    def _on_open(self, message: Message) -> None:
        tool, wanted = str(message.payload.get("tool")), bool(message.payload.get("open", True))
        self._companions.ask(tool, wanted)

    def _tell_opened(self, payload: dict[str, Any]) -> None:
        self._reply("opened", payload, self._revision)

    def _on_check(self, message: Message) -> None:
        if message.payload.get("module"):  # what shows a report is no part of what is saved
            code = {"script": bundle("report.js"), "style": bundle("report.css")}
            self._reply("module", code, self._revision)
        if self._checked is not None and not message.payload.get("again"):
            self._reply("report", self._checked, self._revision)
            return
        index = self.image_index
        found: list[Any] = []

        def progress(payload: dict[str, Any]) -> None:
            self._checking = payload
            self._reply("checking", payload, self._revision)

        def steps() -> Steps:
            report = yield from checked(self.model, self.images[index], None, progress)
            found.append(report)

        def finish(outcome: Outcome) -> None:
            payload = report_payload(found[0] if found else None, outcome)
            if found:
                self._checked = payload
            elif outcome.kind == "cancelled" and self._checked is not None:
                payload = self._checked  # the report of before still holds
            self._checking = None
            self._reply("report", payload, self._revision)

        self._submit("check", steps(), finish)

    def _answer(self, kind: str, steps: Steps, reply: dict[str, Any]) -> None:
        """Work on a request beside the job, and answer it with what came out or the error."""

        def finish(outcome: Outcome) -> None:
            if outcome.error is not None:
                reply["error"] = failure(outcome)["message"]
            if outcome.kind != "cancelled":
                self._reply(kind, reply, self._revision)

        self._submit(kind, steps, finish)

    def look_closer(self, tool: str) -> PicturedWidget:
        """Open a tool below, on the same picture: "scrubber", "attention" or "features".

        Parameters
        ----------
        tool
            "scrubber" for a `PathScrubber` that shares image, target, baseline and steps;
            "attention" for an `AttentionView` of the present picture; "features" for a
            `FeatureGallery` of the channels of the present layer, of those that fire in the marked
            region where there is one.

        Returns
        -------
        PathScrubber, AttentionView or FeatureGallery
            The one that is open already, if there is one. `close` it, and it leaves the page.

        Raises
        ------
        XaiError
            If there is no such tool, or the model has no gradients or no attention.
        """
        return self._companions.open(tool)

    # Display ------------------------------------------------------------------------------

    def to_png(self) -> bytes:
        """Draw the explanation of the present state; waits for a running job.

        Raises
        ------
        XaiError
            If there is no explanation.
        """
        return self.explanation.to_png()


def explore(model: Any, images: Any, labels: Sequence[str] | None = None, **traits: Any) -> None:
    """Display an `Explorer`; make one yourself to keep a handle on its traits."""
    from IPython.display import display

    display(Explorer(model, images, labels, **traits))  # type: ignore[no-untyped-call]
