"""What belongs to the enlarged picture of a gallery: its film, a mixture, what excites it most."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import XaiError
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.engine import Outcome, Steps
from xai_widgets.widgets.feature_gallery_job import Page, Way, objective_at
from xai_widgets.widgets.feature_gallery_record import Film, film_of, reduced

if TYPE_CHECKING:
    from xai_widgets.widgets.feature_gallery import FeatureGallery

NO_FILM = {
    "role": "mixture",
    "names": [],
    "frames": np.zeros((0, 1, 1, 3), np.uint8),
    "positions": np.zeros(0, np.float32),
    "at": np.zeros(0, np.float32),
    "curves": np.zeros((0, 0), np.float32),
    "partial": True,
    "provenance": "{}",
}
MIXTURES = 9
N_EXCITING = 9
CROP_SIDE = 112


@dataclass(frozen=True, eq=False)
class Excited:
    """One image that excites a unit: its position and name, the value, the picture, what is seen.

    Attributes
    ----------
    image, name
        Position among the images, and its name.
    value
        Activation of the channel or score of the class.
    whole, crop
        uint8 [h, w, 3]: the picture and the part of it that the unit sees, both small.
    box
        Where the part lies, as shares of the picture: x, y, width, height.
    """

    image: int
    name: str
    value: float
    whole: npt.NDArray[np.uint8]
    crop: npt.NDArray[np.uint8]
    box: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return an entry of an `exciting` message."""
        return {
            "image": self.image,
            "name": self.name,
            "value": self.value,
            "array": self.whole,
            "crop": self.crop,
            "box": dict(self.box),
        }


class Look:
    """Sends what belongs to the enlarged picture, beside the job that optimises the page.

    Parameters
    ----------
    gallery
        Whose picture it is.
    """

    def __init__(self, gallery: "FeatureGallery") -> None:
        self._gallery = gallery
        self._told: dict[str, dict[str, Any]] = {}  # the newest film, mixture, exciting images
        self._sought: tuple[Any, ...] | None = None  # what is being looked for in the images
        self.found: list[Excited] = []

    def start(self) -> None:
        """Send what is known, and compute the rest. Returns at once."""
        gallery = self._gallery
        with gallery._state_lock:
            page, way, index, other = gallery.present
            if page is None or way is None or index is None:
                return
            record = gallery.record(index)
            if record is not None and (record.visualisation is not None or gallery.ended):
                self._send("film", film_of(record).payload(page.key, index))
            if other is not None and other != index:
                self._mix(page, way, index, other)
            self._seek(page, index)

    def tell(self) -> None:
        """Send everything there is once more."""
        for name, payload in self._told.items():
            kind = "exciting" if name == "exciting" else "film"
            self._gallery._reply(kind, payload, self._gallery._revision)

    def forget(self) -> None:
        """Let go of everything."""
        self._told, self.found, self._sought = {}, [], None

    def _send(self, name: str, payload: dict[str, Any]) -> None:
        gallery = self._gallery
        with gallery._state_lock:
            if gallery.present[2] == payload["index"]:
                self._told[name] = payload
                kind = "exciting" if name == "exciting" else "film"
                gallery._reply(kind, payload, gallery._revision)

    # Mixtures -----------------------------------------------------------------------------

    def _mix(self, page: Page, way: Way, index: int, other: int) -> None:
        """Compute a grid between two objectives, or take the one that is known."""
        gallery, cache = self._gallery, self._gallery._engine.cache
        found: list[Film] = []

        def steps() -> Steps:
            from xai_widgets.features import mixtures_stream

            pair = [objective_at(gallery, page, each) for each in (index, other)]
            key = ("mixture", *(way.key(gallery.model, each) for each in pair))
            film = cache.get(key)
            if film is None:
                stream = mixtures_stream(gallery.model, *pair, n=MIXTURES, **way.arguments)
                try:
                    while True:
                        next(stream)
                        yield
                except StopIteration as stop:
                    film = film_of_mixture(stop.value)
                finally:
                    stream.close()
                cache.put(key, film, film.frames.nbytes)
            found.append(film)
            yield

        def finish(outcome: Outcome) -> None:
            if found:
                self._send("mixture", found[0].payload(page.key, index, other))
            elif outcome.kind == "error":
                failed = {**NO_FILM, "key": page.key, "index": index, "other": other}
                self._send("mixture", {**failed, "error": failure(outcome)["message"]})

        gallery._submit("mixture", steps(), finish)

    # Images -------------------------------------------------------------------------------

    def _seek(self, page: Page, index: int) -> None:
        """Look for the images that excite an item most, beside the pictures."""
