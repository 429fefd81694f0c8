"""What a sketch pad holds and is asked for: its traits, checked."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from traitlets import Dict, Float, Unicode, validate

from xai_widgets.sketch import check_colour, check_sketch, contrast
from xai_widgets.widgets.asked_method import AskedMethod
from xai_widgets.widgets.base import StateError, as_state_error

ASKED = ("target", "layer", "method", "parameters")
DRAWN = ("sketch", "ground", "fit")


class SketchPadState(AskedMethod):
    """The traits of `SketchPad`, where each is documented."""

    no_region = "A sketch is explained as a whole: give the class without a region."
    _taking = 0  # the thread that takes over the browser's own changes

    sketch: Any = Dict(default_value={"strokes": []}).tag(sync=True)
    ground = Unicode("#ffffff").tag(sync=True)
    fit: Any = Float(None, allow_none=True).tag(sync=True)

    @validate("sketch")
    def _check_sketch(self, proposal: Any) -> dict[str, Any]:
        with as_state_error():
            return check_sketch(proposal["value"], contrast(self.ground))

    @validate("ground")
    def _check_ground(self, proposal: Any) -> str:
        with as_state_error():
            return check_colour(proposal["value"])

    @validate("fit")
    def _check_fit(self, proposal: Any) -> float | None:
        value = proposal["value"]
        if value is None or 0 <= value <= 0.4:
            return None if value is None else float(value)
        raise StateError(
            f"The view cannot be fitted with a margin of {value!r}: give a share from 0 to 0.4, "
            "or None for the whole pad."
        )

    @contextmanager
    def _taking_over(self) -> Iterator[None]:
        """Know meanwhile that changes come from the browser, which sends its own picture."""
        self._taking = threading.get_ident()
        try:
            yield
        finally:
            self._taking = 0

    @property
    def _of_browser(self) -> bool:
        return self._taking == threading.get_ident()
