"""The path scrubber: integrated gradients, followed by hand from the baseline to the picture."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from traitlets import Dict, Int, Unicode, observe, validate

from xai_widgets.explainers.baselines import BASELINES, baseline_values
from xai_widgets.explainers.path_stack import PathStack
from xai_widgets.explanation import Explanation
from xai_widgets.models.loading import load
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import FunctionTarget, RegionTarget, resolve_target
from xai_widgets.superpixels import LabelMap, segment
from xai_widgets.widgets.base import StateError, failure
from xai_widgets.widgets.describe import setup
from xai_widgets.widgets.engine import Outcome, Steps, Task
from xai_widgets.widgets.explorer import Explorer, as_state_error
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.present_job import PresentJob
from xai_widgets.widgets.protocol import Message
from xai_widgets.widgets.regions import check_region
from xai_widgets.widgets.scrub_job import Scrubbed, ScrubJob

PATHS = ("straight", "blur")
PRECISIONS = ("float16", "float32")
MIN_STEPS, MAX_STEPS = 8, 512
ASKED = ("target", "baseline", "n_steps", "path", "precision")
ORDER = ("picture", "prediction", "path")


def _nothing() -> None:
    """Stand in where there is no Explorer to leave."""


class PathScrubber(PresentJob, PicturedWidget):
    """Scrub along the path of integrated gradients, from the baseline to the picture.

    Every step's contribution is sent once; the slider, the charts, the pixel under the pointer
    and everything of the display are the browser's and ask nothing of the kernel. Setting a trait
    starts a computation in the background, and the newest state wins.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    image
        A path, PIL image, array or tensor; see `open_image`.
    target, baseline, n_steps
        Initial values of the traits.
    labels
        Names of the outputs, where the model does not carry them.
    traits
        Initial values of the other traits.

    Attributes
    ----------
    image : PreparedImage
        Set it to anything that `open_image` takes.
    target : dict or None
        As in the `Explorer`, and in the same form, so that the two can be linked: a class
        position, a label, a `ClassTarget` (with ``versus`` for a contrast), a `LayerTarget` or a
        function of the output; None follows the predicted class.
    baseline : str or dict
        Where the path starts: "black", "white", "grey", "mean", "zeros", "#rrggbb", "blur" or
        "blur 0.05" (a standard deviation of 5 % of the shorter side), "noise" (uniform) or
        "noise 0.2" (the picture with normal noise of 20 % of the range). May be set to a picture,
        a data set (its mean), or an array in the model's value range as well; the trait then
        holds ``{"kind": "own", "name"}``.
    n_steps : int
        Intervals of the path, 8 to 512. A power of two is refined most evenly.
    path : str
        "straight" from the baseline, or "blur": from a blurred picture through all blurs between,
        as blur IG does, whatever the baseline.
    precision : str
        How maps are sent: "float16" (float32 where that is too coarse) or "float32".
    region : dict or None
        A marked region in display-image pixels, in the Explorer's form: the browser draws its
        curve along the path; nothing is computed for it.

    Raises
    ------
    ImageError, ModelError
        If the picture cannot be opened, or the model cannot be loaded.
    StateError
        If a trait is set to something that does not exist; the one from before stays.
    """

    bundle_name = "scrubber"
    _part: Callable[[], None] = staticmethod(_nothing)

    image = traitlets.Any()
    target = traitlets.Any(None, allow_none=True).tag(sync=True)
    baseline = traitlets.Any("black").tag(sync=True)
    n_steps = Int(64).tag(sync=True)
    path = Unicode("straight").tag(sync=True)
    precision = Unicode("float16").tag(sync=True)
    region: Any = Dict(default_value=None, allow_none=True).tag(sync=True)

    def __init__(
        self,
        model: Any,
        image: Any,
        target: Any = None,
        baseline: Any = "black",
        n_steps: int = 64,
        labels: Sequence[str] | None = None,
        **traits: Any,
    ) -> None:
        loaded = load(model, labels=labels)
        self._sent: list[dict[str, Any]] = []
        self._found: Scrubbed | None = None
        self._functions: dict[str, FunctionTarget] = {}  # by name, as they cannot be sent
        self._baselines: dict[str, Any] = {}
        self._segments: tuple[str, LabelMap] | None = None
        asked = {"target": target, "baseline": baseline, "n_steps": n_steps}
        super().__init__(loaded, image=loaded.prepare(image), **asked, **traits)
        self._start()

    @classmethod
    def of(cls, explorer: Explorer, **traits: Any) -> "PathScrubber":
        """Return a scrubber of what an Explorer shows, and keep the two together.

        They share the target, whichever changes it, and the scrubber follows the image. The
        baseline and the steps are those of the Explorer's integrated gradients, unless given.

        Parameters
        ----------
        explorer
            An open Explorer.
        traits
            Initial values of the scrubber's traits.
        """
        chosen = explorer.parameters.get("integrated_gradients", {})
        for name in ("baseline", "n_steps"):
            if name in chosen:
                traits.setdefault(name, chosen[name])
        image = explorer.images[explorer.image_index]
        scrubber = cls(explorer.model, image, target=explorer.target, **traits)
        link = traitlets.link((explorer, "target"), (scrubber, "target"))

        def follow(change: Any) -> None:
            scrubber.image = explorer.images[change["new"]]

        explorer.observe(follow, "image_index")

        def part() -> None:
            link.unlink()
            explorer.unobserve(follow, "image_index")

        scrubber._part = part
        return scrubber

    def close(self) -> None:
        """Stop what is running, leave the Explorer, and remove the widget from all views."""
        self._part()
        self._part = _nothing
        super().close()

    # State --------------------------------------------------------------------------------

    @validate("image")
    def _check_image(self, proposal: Any) -> PreparedImage:
        value = proposal["value"]
        prepared: PreparedImage = self.model.prepare(value)
        return prepared

    @validate("target")
    def _check_target(self, proposal: Any) -> dict[str, Any] | None:
        value = proposal["value"]
        with as_state_error():
            if value is None:
                return None
            if isinstance(value, dict) and value.get("name") in self._functions:
                return self._functions[value["name"]].to_dict()
            target = resolve_target(value, self.model.labels, 0)
            if isinstance(target, RegionTarget):
                raise StateError(
                    "The scrubber explains a class over the whole picture: give the class, or use "
                    "explain for a class over a region."
                )
            if isinstance(target, FunctionTarget):
                self._functions[target.name] = target
            if target.layer is not None:
                self.model.resolve_layer(target.layer)
            return target.to_dict()

    def asked_target(self, wire: Any) -> Any:
        """Return a target of which only the wire form was kept, functions with their code."""
        if wire is not None and wire["kind"] == "function":
            return self._functions[wire["name"]]
        return wire

    @validate("baseline")
    def _check_baseline(self, proposal: Any) -> str | dict[str, Any]:
        value = proposal["value"]
        if isinstance(value, dict) and value.get("name") in self._baselines:
            return dict(value)
        image = self._trait_values.get("image")
        with as_state_error():
            if isinstance(image, PreparedImage):  # else it is checked by the job
                baseline_values(self.model, image, value)
        if isinstance(value, str) and (value in BASELINES or not Path(value).exists()):
            return value
        name = f"own {len(self._baselines) + 1}"
        self._baselines[name] = value
        return {"kind": "own", "name": name}

    def asked_baseline(self, wire: str | Mapping[str, Any]) -> Any:
        """Return a baseline of which only the wire form was kept."""
        return wire if isinstance(wire, str) else self._baselines[wire["name"]]

    @validate("n_steps")
    def _check_steps(self, proposal: Any) -> int:
        value = int(proposal["value"])
        if not MIN_STEPS <= value <= MAX_STEPS:
            raise StateError(f"n_steps is {value}: give a number from {MIN_STEPS} to {MAX_STEPS}.")
        return value

    @validate("path", "precision")
    def _check_choice(self, proposal: Any) -> str:
        name, value = proposal["trait"].name, str(proposal["value"])
        known = PATHS if name == "path" else PRECISIONS
        if value not in known:
            raise StateError(f"{name} cannot be {value!r}: use one of {known}.")
        return value

    @validate("region")
    def _check_region(self, proposal: Any) -> dict[str, Any] | None:
        with as_state_error():
            return check_region(proposal["value"])

    @observe("image", *ASKED)
    def _changed(self, change: Any) -> None:
        if self._task is None:
            return
        if change["name"] == "image" and self.region is not None:
            self.region = None  # a region belongs to its picture
        self._start()

    # The job ------------------------------------------------------------------------------

    def _start(self) -> Task:
        """Turn the present state into a job that replaces the one before."""
        with self._state_lock:
            self._revision += 1
            self._shown.clear()
            self._sent.clear()
            self._found = self._error = None
            state = {name: getattr(self, name) for name in ASKED}
            self._shown["accepted"] = state
            self._reply("accepted", state, self._revision)
            job = ScrubJob(self, self._revision, state)
            self._task = self._submit("scrub", job.steps(), job.finish)
            return self._task

    def _tell_stack(self, payload: dict[str, Any], revision: int) -> None:
        with self._state_lock:
            if revision == self._revision:
                self._sent.append(payload)
                self._reply("stack", payload, revision)

    def _keep(self, found: Scrubbed, revision: int) -> None:
        with self._state_lock:
            if revision == self._revision:
                self._found = found

    def _finished(self) -> Scrubbed:
        return self._waited(lambda: self._found)

    @property
    def explanation(self) -> Explanation:
        """The explanation of the present state, as `explain` gives it; waits for a running job.

        Raises
        ------
        XaiError
            If there is none: the sentence that the widget shows.
        """
        return self._finished().explanation

    @property
    def stack(self) -> PathStack:
        """The map and the scores of every step; waits for a running job.

        Raises
        ------
        XaiError
            If there is none: the sentence that the widget shows.
        """
        return self._finished().stack

    # Messages -----------------------------------------------------------------------------

    def messages(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the messages that bring a new view up to date, in order."""
        with self._state_lock:
            known = self._shown
            told = [("setup", setup(self.model, 1)), ("accepted", known.get("accepted", {}))]
            told += [(kind, known[kind]) for kind in ORDER if kind in known]
            told += [("stack", payload) for payload in self._sent]
            ends = ("result", "error", "cancelled")
            return told + [(kind, known[kind]) for kind in ends if kind in known]

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            for kind, payload in self.messages():
                self._reply(kind, payload, self._revision)

    def _on_cancel(self, message: Message) -> None:
        self._engine.cancel(self._owner, "scrub")

    def _on_retry(self, message: Message) -> None:
        self._start()

    def _on_superpixels(self, message: Message) -> None:
        image = self.image.display
        reply: dict[str, Any] = {"index": 0, "array": None, "n": 0, "error": None}

        def steps() -> Steps:
            known = self._segments
            labels = known[1] if known and known[0] == image.key else segment(image)
            self._segments = (image.key, labels)
            reply.update(array=labels, n=int(np.max(labels)) + 1)
            yield

        def finish(outcome: Outcome) -> None:
            if outcome.error is not None:
                reply["error"] = failure(outcome)["message"]
            if outcome.kind != "cancelled":
                self._reply("superpixels", reply, self._revision)

        self._submit("superpixels", steps(), finish)

    # Display ------------------------------------------------------------------------------

    def save(self, path: str | Path, alpha: float = 1.0) -> Path:
        """Write the path to a file; the suffix decides what of it. Waits for a running job.

        Parameters
        ----------
        path
            ``.html``: a page of its own that scrubs without kernel and network.
            ``.npz``: maps, scores, alphas and weights of every step, the attribution, the JSON.
            ``.png``: one frame. ``.gif`` and ``.mp4``: the sweep; a film needs
            ``pip install "xai-widgets[video]"``.
        alpha
            Of the one frame, 0..1; the nearest step is taken.

        Raises
        ------
        XaiError
            If the suffix is another one, the folder does not exist, or there is no encoder.
        """
        from xai_widgets.widgets.scrub_export import save

        return save(self, path, alpha)

    def to_png(self) -> bytes:
        """Draw the whole sweep in one picture: some steps, and the charts; waits for the job.

        Raises
        ------
        XaiError
            If there is no explanation.
        """
        from xai_widgets.widgets.scrub_picture import draw_sweep

        found = self._finished()
        return draw_sweep(found.stack, found.explanation, self._shown["path"])
