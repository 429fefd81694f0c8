"""What the model makes of a drawing: predictions at once, explanations when there is time."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from xai_widgets.errors import XaiError
from xai_widgets.explainers.run import predicted_outputs
from xai_widgets.explanation import Explanation
from xai_widgets.models.images import DisplayImage, Pixels
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.sketch import Window
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.describe import prediction
from xai_widgets.widgets.engine import Outcome, Steps, Task
from xai_widgets.widgets.present_job import PresentJob
from xai_widgets.widgets.sketch.job import SketchJob
from xai_widgets.widgets.sketch.state import ASKED, SketchPadState

FINALS = ("result", "error", "cancelled")


@dataclass(eq=False)
class Drawn:
    """A state of the drawing, and what the model makes of it.

    Attributes
    ----------
    make
        Gives the picture, uint8 [h, w, 3], and the part of the pad that it shows.
    answers
        The message that brought it; None for what the kernel drew.
    """

    make: Callable[[], tuple[Pixels, Window]]
    answers: str | None = None
    window: Window | None = None
    image: PreparedImage | None = None
    seen: dict[str, Any] | None = None
    error: str | None = None

    @property
    def placed(self) -> tuple[PreparedImage, Window] | None:
        """The model's input and the part of the pad that it shows, once the model has seen it."""
        return None if self.image is None or self.window is None else (self.image, self.window)


class SketchPadLooking(SketchPadState, PresentJob):
    """Looks at drawings: one lane predicts, the newest first; the other explains and gives way.

    Attributes
    ----------
    _drawn
        The newest drawing.
    _looking
        The prediction that was asked for last; None until there is one.
    """

    _drawn: Drawn
    _looking: Task | None

    def __init__(self, *arguments: Any, **traits: Any) -> None:
        self._looking = None
        self._explanation: tuple[Drawn, Explanation] | None = None
        self._explaining = False
        self._again = False  # a newer picture waits for its explanation
        super().__init__(*arguments, **traits)

    # What the model makes of it -----------------------------------------------------------

    def _look(self, drawn: Drawn) -> Task:
        """Predict; a newer picture takes the place of one that was not looked at yet."""

        def steps() -> Steps:
            pixels, drawn.window = drawn.make()
            image = self.model.prepare(DisplayImage(pixels, "sketch"))
            yield
            outputs = predicted_outputs(self.model, image, self.method or None, self.layer)
            drawn.seen = prediction(self.model, outputs)
            drawn.image = image

        with self._state_lock:
            self._drawn = drawn
            task = self._looking = self._submit(
                "look", steps(), lambda outcome: self._looked(drawn, outcome)
            )
            return task

    def _looked(self, drawn: Drawn, outcome: Outcome) -> None:
        """Answer each picture once, whatever became of it, so that the next one is sent."""
        with self._state_lock:
            newest = drawn is self._drawn
            if outcome.error is not None:
                drawn.error = failure(outcome)["message"]
            self._reply("seen", self._answer(drawn), self._revision)
            if newest and outcome.error is not None:
                self._refuse(outcome)
            elif newest and outcome.kind == "result":
                self._explain_next()

    def _answer(self, drawn: Drawn) -> dict[str, Any]:
        return {"answers": drawn.answers, "prediction": drawn.seen, "error": drawn.error}

    def _refuse(self, outcome: Outcome) -> None:
        """Show why there is no prediction, and so no explanation."""
        self._engine.cancel(self._owner, "explain")
        self._revision += 1
        self._explaining = self._again = False
        self._forget("map", *FINALS)
        self._tell("accepted", self._asked(), self._revision)
        payload = {**failure(outcome), "stage": "predict", "withdrawn": ["prediction", "map"]}
        self._end(self._revision, outcome, payload)

    def _explain_next(self) -> None:
        """Explain the newest picture, once the one that is being explained is done."""
        if self._explaining:
            self._again = True
        elif self.method or self._error is not None:
            self._explain()

    def _explain(self) -> None:
        """Explain the newest picture that the model has seen, instead of what runs."""
        with self._state_lock:
            if self._drawn.placed is not None:
                self._start()

    def _start(self) -> Task:
        """Turn what is asked into a job that replaces the one before."""
        with self._state_lock:
            self._revision += 1
            self._explaining, self._again, self._error = True, False, None
            self._forget(*FINALS)
            self._tell("accepted", self._asked(), self._revision)
            job = SketchJob(self, self._drawn, self._revision)
            self._task = self._submit("explain", job.steps(), job.finish, background=True)
            return self._task

    def _asked(self) -> dict[str, Any]:
        return {"image_index": 0, "region": None, **{name: getattr(self, name) for name in ASKED}}

    def _forget(self, *kinds: str) -> None:
        for kind in kinds:
            self._shown.pop(kind, None)

    def keep(self, drawn: Drawn, explanation: Explanation) -> None:
        """Remember the explanation of a drawing."""
        with self._state_lock:
            self._explanation = (drawn, explanation)

    def ended(self, revision: int, outcome: Outcome, payload: dict[str, Any]) -> None:
        """Send the final message of a job, and explain what was drawn meanwhile."""
        with self._state_lock:
            self._end(revision, outcome, payload)
            if revision == self._revision:
                self._explaining = False
                if self._again and outcome.kind != "cancelled":
                    self._explain_next()

    # Reading ------------------------------------------------------------------------------

    def _newest(self) -> Drawn:
        """Return the newest drawing once the model has seen it.

        Raises
        ------
        XaiError
            If the model cannot predict: the sentence that the pad shows.
        """
        while True:
            drawn, task = self._drawn, self._looking
            if task is not None:
                task.wait()
            with self._state_lock:
                if drawn is not self._drawn:
                    continue
                if drawn.error is not None:
                    raise XaiError(drawn.error)
                if drawn.placed is not None:
                    return drawn
                self._look(Drawn(drawn.make))  # it was cancelled

    @property
    def picture(self) -> Pixels:
        """What the model was given last, uint8 [h, w, 3]; waits for it."""
        image = self._newest().image
        assert image is not None
        return image.display.pixels

    @property
    def prediction(self) -> dict[str, Any]:
        """What the model says: "label", "probability" (None if no classifier), "scores" [K].

        Raises
        ------
        XaiError
            If it cannot predict: the sentence that the pad shows.
        """
        seen = self._newest().seen
        assert seen is not None
        best, shares = seen["predicted"], seen["probabilities"]
        probability = None if shares is None else float(shares[best])
        return {
            "label": self.model.labels[best],
            "probability": probability,
            "scores": seen["scores"],
        }

    @property
    def explanation(self) -> Explanation:
        """The explanation of the newest drawing; waits for it.

        Raises
        ------
        XaiError
            If there is none: the sentence that the pad shows.
        """
        if not self.method:
            raise XaiError(f"No method can explain {self.model.name}: it only predicts.")

        def found() -> Explanation | None:
            held = self._explanation
            return held[1] if held is not None and held[0] is self._drawn else None

        while True:
            drawn = self._newest()
            explanation: Explanation = self._waited(found)
            if drawn is self._drawn:
                return explanation
