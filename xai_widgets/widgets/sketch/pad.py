"""The sketch pad: draw, and watch what the model makes of it while the hand moves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from traitlets import observe

from xai_widgets.errors import SketchError, XaiError
from xai_widgets.models.images import DisplayImage, Pixels, open_image
from xai_widgets.models.loading import load
from xai_widgets.models.targets import FunctionTarget
from xai_widgets.sketch import Window, check_colour, contrast, fitted, rasterise, turned, whole
from xai_widgets.widgets.describe import PREVIEW_SIDE, first_method, setup
from xai_widgets.widgets.pictured import PicturedWidget
from xai_widgets.widgets.protocol import Message
from xai_widgets.widgets.sketch.files import covering, drawing, read, stored, write
from xai_widgets.widgets.sketch.job import by_speed
from xai_widgets.widgets.sketch.looking import FINALS, Drawn, SketchPadLooking
from xai_widgets.widgets.sketch.paper import picture_size, suited, tells_digits
from xai_widgets.widgets.sketch.picture import draw_pad
from xai_widgets.widgets.sketch.state import ASKED, DRAWN

ANSWER_SECONDS = 0.025


class SketchPad(SketchPadLooking, PicturedWidget):
    """Draw with mouse, pen, touch or keys; probabilities and an explanation follow the hand.

    Strokes are drawn in the browser. It sends the picture, at the size that the model needs,
    whenever the kernel has answered the one before: no queue builds up, and the newest picture
    wins. The explanation gives way to predictions, and is of the newest picture when it starts.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    sketch
        What is drawn at the start; see `load`.
    background
        A picture to draw on: a path, PIL image, array or tensor.
    labels
        Names of the outputs, where the model does not carry them.
    traits
        Initial values of the traits below.

    Attributes
    ----------
    sketch : dict
        ``{"strokes": [{"points": [[x, y], [x, y, pressure], ...], "width", "colour", "erase"}]}``.
        Positions and widths are shares of the pad's longer side, x before y, from its upper left
        corner. Set when a stroke ends; may be set from Python, and only the points are needed.
    ground : str
        The paper's colour. Where it is not given, `paper` tells how it was chosen. Strokes in the
        black or white that shows on the old one change to what shows on the new one.
    fit : float or None
        None: the model sees the whole pad. A share, 0..0.4: it sees the part that just encloses
        the drawing, with this margin, whatever its place and size, as digit data sets were made.
        Without effect on a background.
    target, layer, method, parameters
        What is explained and how, as in the `Explorer`; a target of None follows the predicted
        class. The method is "" where a model only predicts.

    Raises
    ------
    SketchError, ImageError, ModelError
        If sketch or background cannot be read, or the model cannot be loaded.
    """

    bundle_name = "sketch"

    def __init__(
        self,
        model: Any,
        sketch: Any = None,
        background: Any = None,
        labels: Sequence[str] | None = None,
        **traits: Any,
    ) -> None:
        loaded = load(model, labels=labels)
        self.paper = suited(loaded)
        self.size = picture_size(loaded)
        self.functions: dict[str, FunctionTarget] = {}  # by name, as they cannot be sent
        self._background: DisplayImage | None = None
        self._small: Pixels | None = None  # the background at the size of the picture
        self._behind = False  # the browser has changed the drawing, and its picture is to come
        self._drawn = Drawn(self._rasterised)
        traits["ground"] = check_colour(traits.get("ground", self.paper.ground))
        traits.setdefault("fit", self.paper.fit)
        traits.setdefault("method", first_method(loaded))
        if sketch is not None:
            traits["sketch"] = read(sketch, traits["ground"], self.size).sketch
        super().__init__(loaded, **traits)
        if background is not None:
            self._lay(open_image(background))
        self._look(self._drawn)

    # State --------------------------------------------------------------------------------

    @observe("ground")
    def _turn(self, change: Any) -> None:
        """Let what contrasted with the old paper contrast with the new one."""
        if self._looking is not None and not self._of_browser:
            self.sketch = turned(self.sketch, contrast(change.old), contrast(change.new))

    @observe(*DRAWN)
    def _redraw(self, change: Any = None) -> None:
        """Draw here what was changed here; the browser sends pictures of its own changes."""
        self._behind = self._of_browser
        if self._looking is not None and not self._of_browser:
            self._look(Drawn(self._rasterised))

    @observe(*ASKED)
    def _ask(self, change: Any) -> None:
        if self._looking is not None:
            self._explain()

    def set_state(self, sync_data: Mapping[str, Any]) -> None:
        """Take over what the browser has changed."""
        with self._taking_over():
            super().set_state(sync_data)

    def _rasterised(self) -> tuple[Pixels, Window]:
        sketch, base = self.sketch, self._small
        fits = self.fit is not None and base is None
        window = fitted(sketch, self.size, self.fit) if fits else whole(self.size)
        return rasterise(sketch, self.size, self.ground, window, base), window

    @property
    def background(self) -> DisplayImage | None:
        """The picture below the strokes, cut to the shape of the pad; set it to any image."""
        return self._background

    @background.setter
    def background(self, image: Any) -> None:
        self._lay(None if image is None else open_image(image))
        self._look(Drawn(self._rasterised))

    def _lay(self, image: DisplayImage | None) -> None:
        if image is None:
            self._background = self._small = None
        else:
            scale = min(1.0, PREVIEW_SIDE / max(image.height, image.width))
            scale *= min(image.height / self.size[0], image.width / self.size[1])
            large = (max(1, round(self.size[0] * scale)), max(1, round(self.size[1] * scale)))
            self._background = DisplayImage(covering(image, large), image.name)
            self._small = covering(image, self.size)
        self._reply("background", self._laid(), self._revision)

    def _laid(self) -> dict[str, Any]:
        if self._background is None:
            return {"name": "", "array": None, "small": None}
        held = self._background
        return {"name": held.name, "array": held.pixels, "small": self._small}

    # Doing --------------------------------------------------------------------------------

    def load(self, source: Any) -> None:
        """Replace the drawing.

        Parameters
        ----------
        source
            The name of a stored sketch (see `xai_widgets.demo.sketch`), a ``.json`` file that
            `save` has made, or a sketch.

        Raises
        ------
        SketchError
            If there is no such sketch, or the file holds none.
        """
        loaded = read(source, self.ground, self.size)
        if loaded.background is not None or self._background is not None:
            self._lay(loaded.background)
        with self.hold_sync():
            if loaded.ground is not None:
                self.ground = loaded.ground
            self.sketch = loaded.sketch
        self._redraw()

    def clear(self) -> None:
        """Take a new sheet of the same paper."""
        self._lay(None)
        self.sketch = {"strokes": []}
        self._redraw()

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file; the suffix decides how.

        Parameters
        ----------
        path
            ``.json``: strokes, ground and background, for `load`. ``.png``: the drawing, 1024 px.

        Raises
        ------
        XaiError
            If the suffix is another one, or the folder does not exist.
        """
        return write(path, self.sketch, self.ground, self.size, self._background)

    # Messages -----------------------------------------------------------------------------

    def _on_hello(self, message: Message) -> None:
        with self._state_lock:
            self._reply("setup", self._setup(), self._revision)
            self._reply("background", self._laid(), self._revision)
            if self._drawn.seen is not None:
                self._reply("seen", {**self._answer(self._drawn), "answers": None}, self._revision)
            for kind in ("accepted", "map", *FINALS):
                if kind in self._shown:
                    self._reply(kind, self._shown[kind], self._revision)
            if self._behind:  # a page that was closed while its last picture waited for its turn
                self._redraw()

    def _setup(self) -> dict[str, Any]:
        known = tells_digits(self.model)
        about = setup(self.model, 1)
        return {
            **about,
            "methods": by_speed(about["methods"]),
            "size": list(self.size),
            "width": self.paper.width,
            "paper": self.paper.reason,
            "sketches": stored(known, self.ground, self.size),
        }

    def _on_drawn(self, message: Message) -> None:
        pixels = message.payload["array"]
        window = Window(*(float(value) for value in message.payload["window"]))
        expected = (*self.size, 3)

        def make() -> tuple[Pixels, Window]:
            if pixels.dtype != np.uint8 or pixels.shape != expected:
                raise SketchError(
                    f"A picture {list(pixels.shape)} of {pixels.dtype} arrived, but this pad takes "
                    f"uint8 {list(expected)}: reload the page."
                )
            return pixels, window

        self._behind = False
        # A packet that follows the kernel's "idle" waits 40 ms for that one's receipt (Nagle's
        # algorithm), so a fast model answers before it.
        self._look(Drawn(make, message.id)).wait(ANSWER_SECONDS)

    def _on_background(self, message: Message) -> None:
        array = message.payload.get("array")
        name = str(message.payload.get("name") or "picture")
        self.background = None if array is None else open_image(array, name)

    def _on_cancel(self, message: Message) -> None:
        self._engine.cancel(self._owner, "explain")

    def _on_retry(self, message: Message) -> None:
        self._look(Drawn(self._drawn.make))

    # Display ------------------------------------------------------------------------------

    def to_png(self) -> bytes:
        """Draw the present state; waits for what is being computed.

        Raises
        ------
        XaiError
            If the model cannot predict.
        """
        drawn = self._newest()
        assert drawn.image is not None and drawn.seen is not None
        try:
            explanation = self.explanation if self.method else None
        except XaiError:
            explanation = None
        shares = drawn.seen["probabilities"]
        values = drawn.seen["scores"] if shares is None else shares
        order = np.argsort(-values, kind="stable")
        answers = [(self.model.labels[index], float(values[index])) for index in order[:5]]
        pad = drawing(self.sketch, self.ground, self.size, self._background, side=320)
        picture = drawn.image.display.pixels
        return draw_pad(pad, picture, explanation, answers, shares is not None)
