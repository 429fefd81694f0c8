"""The layers of a lesson's canvas, and the frames of an animation on it. Needs ipycanvas."""

import io
import math
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from ipycanvas import Canvas, MultiCanvas, hold_canvas
from PIL import Image

from xai_widgets.errors import ImageError, MapError, RegionError, XaiError
from xai_widgets.explanation import MAGNITUDE_COLOURS, SIGNED_COLOURS
from xai_widgets.models.images import DisplayImage
from xai_widgets.plotting import fade
from xai_widgets.widgets.lesson.pulse import Pulse

LARGEST_SIDE = 2048
"""Of the picture that is sent, in pixels; no canvas shows more."""
UNSEEN_FRAMES = 2
"""Frames that may be on their way: one is shown while the next one is drawn."""


class LessonCanvas(MultiCanvas):  # type: ignore[misc]
    """A picture with a heat map and a free drawing above it, all in image pixels.

    Made by `lesson_canvas`. What is drawn inside of ``async with canvas.frame():`` appears at
    once, and an animation runs no faster than the browser shows it, so that no queue is left
    behind. After the page was reloaded, picture and heat map are there again; run the cell for the
    rest.

    Parameters
    ----------
    image
        The picture.
    side
        Of the longer side on the screen, CSS pixels.

    Attributes
    ----------
    image : DisplayImage
        The picture.
    drawing : ipycanvas.Canvas
        The layer for your own lines, in image pixels; ``drawing.clear()`` empties it.
    pulse : Pulse
        Counts the frames that were sent, and that are shown.
    """

    def __init__(self, image: DisplayImage, side: int = 384) -> None:
        if isinstance(side, bool) or not isinstance(side, int | float) or not side >= 1:
            raise ImageError(f"The side is {side!r}: give the pixels of the longer side, 384.")
        scale = side / max(image.width, image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        super().__init__(3, width=size[0], height=size[1])
        self.image = image
        self.pulse = Pulse()
        self._scale = scale
        self._lock = threading.RLock()
        self._holding = False
        self._heat: npt.NDArray[np.uint8] | None = None
        self._draw_anew()
        self.on_client_ready(self._draw_anew)

    @property
    def drawing(self) -> Canvas:
        """The layer for your own lines, in image pixels."""
        return self[2]

    def to_png(self) -> bytes:
        """Draw picture and heat map, as on the screen; the free drawing is only known there."""
        size = self.width, self.height
        picture = Image.fromarray(self.image.pixels).convert("RGBA").resize(size)
        if self._heat is not None:
            picture.alpha_composite(Image.fromarray(self._heat).resize(size))
        buffer = io.BytesIO()
        picture.convert("RGB").save(buffer, format="PNG")
        return buffer.getvalue()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Return the live view, and beside it a PNG for hosts that show no widgets."""
        rendered = super()._repr_mimebundle_(**kwargs)
        if isinstance(rendered, dict):
            rendered = {**rendered, "image/png": b64encode(self.to_png()).decode("ascii")}
        return rendered

    def frame(self) -> "Frame":
        """Send what is drawn inside as one frame, when the browser shows the ones before.

        Use ``async with canvas.frame():`` in a notebook: while it waits, the kernel reads what the
        browser answers. ``with canvas.frame():`` works everywhere, but most kernels read nothing
        until the cell has ended; then frames only keep a distance.
        """
        return Frame(self)

    def show(
        self,
        heatmap: Any,
        opacity: float = 0.75,
        limit: float | None = None,
        signed: bool | None = None,
    ) -> None:
        """Show a heat map over the picture; the one before is gone.

        Parameters
        ----------
        heatmap
            [h, w], on any grid that covers the picture; NaN, where nothing is known, stays clear.
        opacity
            Of the strongest values, 0..1.
        limit
            The value that has the last colour; None for the largest magnitude. Give it in an
            animation, so that colours mean the same in every frame.
        signed
            Zero-centred colours, or those of magnitudes; None decides by the sign of the values.

        Raises
        ------
        MapError
            If the map is not [h, w], or opacity or limit is no number.
        """
        values = _values(heatmap)
        for name, number in (("opacity", opacity), ("limit", 0 if limit is None else limit)):
            if not _finite(number):
                raise MapError(f"The {name} of the heat map is {number!r}: give a number.")
        self._heat = _coloured(values, opacity, limit, signed)
        with self._held():
            self._draw_heat()

    def patch(
        self, x: float, y: float, width: float, height: float, colour: str = "#808080"
    ) -> None:
        """Draw a filled patch with an outline, in image pixels, in place of what was drawn.

        Parameters
        ----------
        x, y
            Its upper left corner.
        width, height
            Its size.
        colour
            CSS colour of the inside.

        Raises
        ------
        RegionError
            If a number is none, or infinite.
        """
        if not all(map(_finite, (x, y, width, height))):
            raise RegionError(
                f"The patch is {(x, y, width, height)!r}: give x, y, width and height as numbers."
            )
        drawing = self.drawing
        with self._held():
            drawing.clear()
            drawing.fill_style = colour
            drawing.fill_rect(x, y, width, height)
            drawing.line_width = 1.5 / self._scale
            drawing.stroke_style = "white"
            drawing.stroke_rect(x, y, width, height)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Send commands together; nobody draws in between, and a hold inside of one adds to it."""
        with self._lock:
            if self._holding:
                yield
                return
            self._holding = True
            failed: BaseException | None = None
            try:
                with hold_canvas():
                    try:
                        yield
                    except BaseException as error:  # else ipycanvas holds back all that follows
                        failed = error
                    self._make_plain()
            except TypeError as error:
                self._let_go()
                failed = failed or XaiError(
                    f"A command of this frame cannot be sent ({error}), so the frame was left out: "
                    "draw with numbers and texts."
                )
            finally:
                self._holding = False
            if failed is not None:
                raise failed

    def _make_plain(self) -> None:
        """Turn NumPy's numbers in what is held, which ipycanvas cannot send, into Python's."""
        for command in self._canvas_manager._commands_cache:
            if len(command) > 1:
                command[1] = [
                    value.item() if isinstance(value, np.generic) else value for value in command[1]
                ]

    def _let_go(self) -> None:
        """Drop what is held; ipycanvas would try to send it again with every later command."""
        manager = self._canvas_manager
        manager._commands_cache, manager._buffers_cache = [], []
        manager._caching = False
        manager._current_canvas = None

    def _draw_anew(self) -> None:
        """Draw what is known of the layers, as for a page that has just opened."""
        with self._held():
            for layer in self._canvases:
                layer.set_transform(self._scale, 0, 0, self._scale, 0, 0)
            pixels = shrunk(self.image.pixels, LARGEST_SIDE)
            opaque = np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)
            # With an alpha channel ipycanvas sends PNG, without one lossy JPEG.
            self._fill(self[0], np.concatenate([pixels, opaque], axis=2))
            if self._heat is not None:
                self._draw_heat()

    def _draw_heat(self) -> None:
        assert self._heat is not None
        self[1].clear()
        self._fill(self[1], self._heat)

    def _fill(self, layer: Canvas, pixels: npt.NDArray[np.uint8]) -> None:
        """Draw pixels on any grid over the whole picture."""
        layer.save()
        layer.scale(self.image.width / pixels.shape[1], self.image.height / pixels.shape[0])
        layer.put_image_data(pixels, 0, 0)
        layer.restore()


class Frame:
    """One frame of an animation, as a context of either kind; see `LessonCanvas.frame`."""

    def __init__(self, canvas: LessonCanvas) -> None:
        self._canvas = canvas
        self._stack = ExitStack()

    def __enter__(self) -> LessonCanvas:
        self._canvas.pulse.wait(UNSEEN_FRAMES - 1)
        return self._open()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._close(kind, error, traceback)

    async def __aenter__(self) -> LessonCanvas:
        await self._canvas.pulse.wait_async(UNSEEN_FRAMES - 1)
        return self._open()

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._close(kind, error, traceback)

    def _open(self) -> LessonCanvas:
        self._stack.enter_context(self._canvas._held())
        return self._canvas

    def _close(self, kind: Any, error: Any, traceback: Any) -> None:
        self._stack.__exit__(kind, error, traceback)
        if error is None:
            self._canvas.pulse.beat()


def shrunk(pixels: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """Return a picture with no side longer than ``side``, [h, w, 3]; a small one as it is."""
    height, width = pixels.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))


def _finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def _values(heatmap: Any) -> npt.NDArray[np.float32]:
    if hasattr(heatmap, "detach"):  # a tensor in the middle of somebody's computation
        heatmap = heatmap.detach().cpu()
    try:
        values = np.asarray(heatmap, dtype=np.float32)
    except (TypeError, ValueError):
        raise MapError(
            f"The heat map is a {type(heatmap).__name__} without numbers: give [height, width]."
        ) from None
    if values.ndim != 2 or 0 in values.shape:
        raise MapError(f"The heat map has shape {list(values.shape)}: give [height, width].")
    if np.isinf(values).any():
        raise MapError("The heat map holds infinite values: give NaN where nothing is known.")
    return values


def _coloured(
    values: npt.NDArray[np.float32], opacity: float, limit: float | None, signed: bool | None
) -> npt.NDArray[np.uint8]:
    """Return a map as RGBA uint8 [h, w, 4]."""
    import matplotlib

    known = np.nan_to_num(values)
    if signed is None:
        signed = bool(known.min() < 0)
    largest = float(np.abs(known).max()) if limit is None else abs(float(limit))
    largest = largest or 1.0
    colours = matplotlib.colormaps[SIGNED_COLOURS if signed else MAGNITUDE_COLOURS]
    share = (known / largest + 1) / 2 if signed else known / largest
    rgba = colours(np.clip(share, 0, 1))
    rgba[..., 3] = np.where(np.isnan(values), 0, fade(known, largest, opacity))
    return np.asarray((rgba * 255).round(), dtype=np.uint8)
