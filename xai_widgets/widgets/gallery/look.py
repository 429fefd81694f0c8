"""What belongs to the enlarged picture of a gallery: its film, a mixture, what excites it most."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import DisplayImage, ImageSet
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.engine import Outcome, Steps
from xai_widgets.widgets.gallery.identity import identity_of
from xai_widgets.widgets.gallery.job import Page, Way, objective_at
from xai_widgets.widgets.gallery.record import Film, film_of
from xai_widgets.widgets.regions import crop

if TYPE_CHECKING:
    from xai_widgets.features import Exciting, Objective, Visualisation
    from xai_widgets.widgets.gallery.views import GalleryViews

NO_FILM = {
    "role": "mixture",
    "names": [],
    "frames": np.zeros((0, 1, 1, 3), np.uint8),
    "positions": np.zeros(0, np.float32),
    "at": np.zeros(0, np.float32),
    "curves": np.zeros((0, 0), np.float32),
    "partial": True,
    "provenance": "{}",
    "note": "",
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

    def __init__(self, gallery: "GalleryViews") -> None:
        self._gallery = gallery
        self._told: dict[str, dict[str, Any]] = {}  # the newest film, mixture, exciting images
        self._sought: Any = None  # what is being looked for in the images, and what was found
        self._known: Any = None
        self._mixing: Any = None
        self.found: list[Excited] = []

    def start(self, compute: bool = True) -> None:
        """Send what is known, and compute the rest, unless it is not wanted. Returns at once."""
        gallery = self._gallery
        with gallery._state_lock:
            page, way, index, other = gallery.present
            if page is None or way is None or index is None:
                return
            record = gallery.record(index)
            if record is not None and (
                record.visualisation is not None or record.failure or gallery.ended
            ):
                self._send(
                    "film",
                    film_of(record, page.title(index, gallery.names)).payload(page.key, index),
                )
            if not compute:
                return
            if other is not None and other != index:
                self._mix(page, way, index, other)
            else:
                self.stop_mixing()
            self._seek(page, index)

    def stop_mixing(self) -> None:
        """Cancel a mixture that is no longer asked for; it would keep the pictures waiting."""
        gallery = self._gallery
        if self._mixing is not None:
            self._mixing = None  # first: then nothing is told of it
            gallery._engine.cancel(gallery._owner, "mixture")

    def tell(self) -> None:
        """Send everything there is once more."""
        for name, payload in self._told.items():
            kind = "exciting" if name == "exciting" else "film"
            self._gallery._reply(kind, payload, self._gallery._revision)

    def forget(self) -> None:
        """Let go of everything."""
        self._told, self.found = {}, []
        self._sought = self._known = self._mixing = None

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
        mixing = (page.key, index, other)
        if self._mixing == mixing:
            return
        self._mixing = mixing
        found: list[Film] = []

        def steps() -> Steps:
            from xai_widgets.features import mixtures

            first, second = (objective_at(gallery, page, each) for each in (index, other))
            key = ("mixture", *(way.key(gallery.model, each) for each in (first, second)))
            film = cache.get(key)
            names = tuple(page.title(each, gallery.names) for each in (index, other))
            if film is None:
                stream = mixtures(gallery.model, first, second, MIXTURES, **way.mixed)
                try:
                    while True:
                        next(stream)
                        yield
                except StopIteration as stop:
                    film = self._mixture((first, second), names, stop.value)
                finally:
                    stream.close()
                cache.put(key, film, film.frames.nbytes)
            found.append(film)
            yield

        def finish(outcome: Outcome) -> None:
            if self._mixing is not mixing:
                return  # another one is mixed, or the same one anew
            self._mixing = None
            if found:
                self._send("mixture", found[0].payload(page.key, index, other))
            else:
                failed = {**NO_FILM, "key": page.key, "index": index, "other": other}
                said = failure(outcome)["message"] if outcome.error else "Cancelled."
                self._send("mixture", {**failed, "error": said})

        gallery._submit("mixture", steps(), finish)

    def _mixture(
        self, pair: "Sequence[Objective]", names: tuple[str, ...], made: "Visualisation"
    ) -> Film:
        """Return the grid between two objectives, with how far each of them is in it."""
        shares = np.linspace(0, 1, len(made.images), dtype=np.float32)
        pictures = [DisplayImage(picture) for picture in made.images]
        curves = [values_of(self._gallery.model, objective, pictures) for objective in pair]
        known = {"objectives": list(names), **made.provenance}
        return Film("mixture", names, made.images, shares, shares, np.stack(curves), False, known)

    # Images -------------------------------------------------------------------------------

    def _seek(self, page: Page, index: int) -> None:
        """Look for the images that excite an item most, beside the pictures."""
        gallery = self._gallery
        images = gallery.images
        if images is None:
            return
        objective = objective_at(gallery, page, index)
        key = f"{page.kind} {page.layer or ''}"
        sought = (key, index, gallery.model.fingerprint, identity_of(objective))
        if sought in (self._sought, self._known):
            return
        self._sought = sought
        empty = {"key": key, "index": index, "done": 0, "total": len(images), "items": None}
        found: list[Excited] = []

        def steps() -> Steps:
            ranking = yield from self._ranked(objective, page, index, {**empty, "error": None})
            yield
            for place, position in enumerate(ranking.indices):
                found.append(shown(images, int(position), ranking, place))
                yield

        def finish(outcome: Outcome) -> None:
            if self._sought != sought:
                return  # another one is looked for
            self._sought = None
            error = None if outcome.error is None else failure(outcome)["message"]
            if outcome.kind == "cancelled":
                error = "Cancelled before all images were looked at."
            elif error is None:
                self._known = sought
            items = None if error else [each.to_dict() for each in found]
            done = {"done": len(images), "items": items, "error": error}
            self.found = found
            self._send("exciting", {**empty, **done})

        gallery._submit("exciting", steps(), finish, background=True)

    def _ranked(
        self, objective: "Objective", page: Page, index: int, progress: dict[str, Any]
    ) -> Generator[None, None, "Exciting"]:
        """Return what excites an item most; of the channels of a layer all are found at once."""
        from xai_widgets.features import top_images_stream
        from xai_widgets.features.objective_kinds import Direction
        from xai_widgets.features.ranking import ranked_images_stream

        gallery = self._gallery
        model, images, cache = gallery.model, gallery.images, gallery._engine.cache
        stream: Any
        place, width = 0, self._width(objective)
        if page.kind == "channels":
            place = index
            about: Any = page.layer
            stream = top_images_stream(model, page.layer, images, n=N_EXCITING)
        elif isinstance(objective, Direction) and len(objective.vector) == width:
            about = identity_of(objective)
            stream = top_images_stream(
                model, objective.layer, images, direction=objective.vector, n=N_EXCITING
            )
        else:
            about = identity_of(objective)
            stream = ranked_images_stream(model, objective, images, n=N_EXCITING)
        key = ("exciting", model.fingerprint, gallery.images_key, about)
        found = cache.get(key)
        if found is None:
            try:
                while True:
                    step = next(stream)
                    self._send("exciting", {**progress, "done": step.done, "total": step.total})
                    yield
            except StopIteration as stop:
                found = stop.value
            finally:
                stream.close()
            cache.put(key, found, 512 * N_EXCITING * len(found))
        ranking: Exciting = found[place]
        return ranking

    def _width(self, objective: "Objective") -> int | None:
        """Return how many channels the layer of a direction has."""
        layer = objective.layers[0]
        return None if layer is None else int(self._gallery.model.layer(layer).shape[-1])


def values_of(
    model: ExplainableModel, objective: "Objective", pictures: "Sequence[DisplayImage]"
) -> npt.NDArray[np.float32]:
    """Return an objective's value of each of some pictures, in their order."""
    from xai_widgets.features.ranking import ranked_images_stream

    stream = ranked_images_stream(model, objective, pictures, n=len(pictures))
    try:
        while True:
            next(stream)
    except StopIteration as stop:
        (ranking,) = stop.value
    values = np.zeros(len(pictures), dtype=np.float32)
    values[ranking.indices] = ranking.values
    return values


def shown(images: ImageSet, position: int, ranking: "Exciting", place: int) -> Excited:
    """Return one image of a ranking as the browser shows it."""
    image: DisplayImage = images[position]
    part, box = crop(image, ranking.crops[place], CROP_SIDE)
    return Excited(
        position,
        images.name(position),
        float(ranking.values[place]),
        image.resized(CROP_SIDE),
        part,
        {
            "x": box["x"] / image.width,
            "y": box["y"] / image.height,
            "width": box["width"] / image.width,
            "height": box["height"] / image.height,
        },
    )
