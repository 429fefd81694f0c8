"""The path scrubber: integrated gradients, followed by hand from the baseline to the picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from traitlets import observe

from xai_widgets.errors import XaiError
from xai_widgets.explainers.path_stack import PathStack
from xai_widgets.explanation import Explanation
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.targets import FunctionTarget
from xai_widgets.superpixels import LabelMap, segment
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import setup
from xai_widgets.widgets.engine import Outcome, Steps, Task
from xai_widgets.widgets.explorer.explorer import Explorer
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.present_job import PresentJob
from xai_widgets.widgets.protocol import Message
from xai_widgets.widgets.scrubber.job import Scrubbed, ScrubJob
from xai_widgets.widgets.scrubber.state import ASKED, ScrubState

ORDER = ("picture", "prediction", "path")


class PathScrubber(ScrubState, PresentJob, PicturedWidget):
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
    others
        Other pictures, opened one by one: what the baseline "images" is drawn from.
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
        "noise 0.2" (the picture with normal noise of 20 % of the range), "images" (the mean of
        ``others``). May be set to a picture, a data set (its mean), or an array in the model's
        value range as well; the trait then holds ``{"kind": "own", "name", "several"}``.
    draws : int
        Above 1, several baselines are drawn where the baseline is noise or a set of pictures, and
        the straight paths from each of them are averaged, map by map and score by score: expected
        gradients, `explain`'s ``"expected_gradients"`` with ``quadrature="trapezoid"``,
        ``n_samples=n_steps`` and ``n_baselines=draws``. The input that is shown is the mean over
        the draws. At most 64.
    n_steps : int
        Intervals of the path, 8 to 512. A power of two is refined most evenly.
    tolerance : float or None
        None for equal steps. A share of f(x) - f(baseline): the straight path from one baseline
        is then cut finer where its error is largest until the errors sum to that share, with at
        most ``n_steps + 1`` evaluations (``quadrature="adaptive"`` of integrated gradients).
    path : str
        "straight" from the baseline; "guided" from the baseline, moving first what the score
        depends on least, as guided IG does; or "blur": from a blurred picture through all blurs
        between, as blur IG does, whatever the baseline.
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

    def __init__(
        self,
        model: Any,
        image: Any,
        target: Any = None,
        baseline: Any = "black",
        n_steps: int = 64,
        labels: Sequence[str] | None = None,
        others: Any = None,
        **traits: Any,
    ) -> None:
        loaded = load(model, labels=labels)
        given = None if others is None else ImageSet(others)
        self._others: Callable[[], Any] | None = None if given is None else lambda: given
        self._sent: list[dict[str, Any]] = []
        self._found: Scrubbed | None = None
        self.functions: dict[str, FunctionTarget] = {}  # by name, as they cannot be sent
        self._baselines: dict[str, Any] = {}
        self._segments: tuple[str, LabelMap] | None = None
        asked = {"target": target, "baseline": baseline, "n_steps": n_steps}
        super().__init__(loaded, image=loaded.prepare(image), **asked, **traits)
        self._start()

    @classmethod
    def of(cls, explorer: Explorer, **traits: Any) -> "PathScrubber":
        """Return a scrubber of what an Explorer shows, and keep the two together.

        They share target, baseline and steps (those of the Explorer's integrated gradients),
        whichever changes them, and the scrubber follows the image. The Explorer's other images
        are what the baseline "images" is drawn from.

        Parameters
        ----------
        explorer
            An open Explorer.
        traits
            Initial values of the scrubber's traits.
        """
        from xai_widgets.widgets.scrubber.link import chosen, share

        for name, value in chosen(explorer.parameters).items():
            traits.setdefault(name, value)
        image = explorer.images[explorer.image_index]
        scrubber = cls(explorer.model, image, target=explorer.target, **traits)
        if len(explorer.images) > 1:
            scrubber._others = lambda: explorer.background(explorer.image_index)
        scrubber.when_closed(share(explorer, scrubber))
        return scrubber

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

    def refuse(self, error: XaiError) -> None:
        """Show why there is no path, until the picture is set again."""
        with self._state_lock:
            self._engine.cancel(self._owner, "scrub")
            self._revision += 1
            self._shown.clear()
            self._sent.clear()
            self._found = None
            self._shown["accepted"] = {name: getattr(self, name) for name in ASKED}
            self._reply("accepted", self._shown["accepted"], self._revision)
            outcome = Outcome("error", error)
            payload = {**failure(outcome), "stage": "explain", "withdrawn": []}
            self._end(self._revision, outcome, payload)

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
            told = [
                ("setup", setup(self.model, 1 if self._others is None else 2)),
                ("accepted", known.get("accepted", {})),
            ]
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
        from xai_widgets.widgets.scrubber.export import save

        return save(self, path, alpha)

    def to_png(self) -> bytes:
        """Draw the whole sweep in one picture: some steps, and the charts; waits for the job.

        Raises
        ------
        XaiError
            If there is no explanation.
        """
        from xai_widgets.widgets.scrubber.picture import draw_sweep

        found = self._finished()
        return draw_sweep(found.stack, found.explanation, self._shown["path"])
