"""The feature gallery: what channels, classes and concepts look for, as pictures that converge."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from traitlets import observe

from xai_widgets.errors import TargetError, XaiError
from xai_widgets.models.images import ImageSet
from xai_widgets.models.loading import load
from xai_widgets.models.targets import ClassTarget, LayerTarget, resolve_target
from xai_widgets.widgets.base import StateError
from xai_widgets.widgets.engine import Task
from xai_widgets.widgets.gallery.job import GalleryJob, Page, Way
from xai_widgets.widgets.gallery.look import Look
from xai_widgets.widgets.gallery.record import Optimised
from xai_widgets.widgets.gallery.state import (
    ASKED,
    LOOKED_AT,
    PAGE_SIZE,
    checked_name,
)
from xai_widgets.widgets.gallery.views import GalleryViews
from xai_widgets.widgets.protocol import FINAL_KINDS

if TYPE_CHECKING:
    from xai_widgets.features import Visualisation
    from xai_widgets.widgets.explorer.explorer import Explorer

PATIENCE_SECONDS = 2.0
OWN = ("page", "selected", "mix_with")
"""Positions, of what `PLACE` says."""
PLACE = ("kind", "layer", "region")


class FeatureGallery(GalleryViews):
    """See what the channels of a layer, the classes or concept vectors look for.

    Pictures are optimised in batches in the background, those in sight first, and stream in; a
    click enlarges one, whose steps are then scrubbed in the browser without asking the kernel.
    Beside it stand the images that excite it most. Everything that was computed is kept with the
    model, so that going back costs nothing.

    Parameters
    ----------
    model
        A loaded model, or anything `load` takes.
    images
        A path, folder, sequence of images, or array [N, H, W, C]: where to look for what excites a
        channel most, and what an optimisation can start from. None for neither.
    objective
        What to begin with: anything `visualise` takes (a class or its label, a target, an
        objective of `xai_widgets.features.objectives`, a list of them), or a dict of objectives by
        name.
    layer
        The layer whose channels are shown; None for the recommended one.
    labels
        Names of the outputs, where the model does not carry them.
    traits
        Initial values of the traits below.

    Attributes
    ----------
    kind : str
        "channels" of `layer`, "classes", or "own": the objectives that were given.
    layer : str or None
        None for the recommended layer.
    page : int
        Which page of 24 is shown, from 0.
    selected : int or None
        The channel, class or own objective that is enlarged, from 0; None for the page's first.
    mix_with : int or None
        A second one: a grid between the two is computed, and scrubbed in the browser.
    start : int or None
        Position of the image that optimisations start from; None for noise.
    parameters : dict
        Of the optimisation, only what differs from the defaults: "n_steps" (128), "seed" (0),
        "learning_rate" (0.05), "parameterisation" ("fourier" or "pixels") and "transforms"
        ("standard" or "none").
    image_index, region : int, dict or None
        A region of one of the images, in the Explorer's form: only the channels that fire there
        are shown, the strongest first.

    Raises
    ------
    ImageError, ModelError
        If the images cannot be opened, or the model cannot be loaded. A model without gradients
        is told in the gallery.
    StateError
        If a trait is set to something that does not exist; the one from before stays.
    """

    bundle_name = "gallery"

    def __init__(
        self,
        model: Any,
        images: Any = None,
        objective: Any = None,
        layer: str | None = None,
        labels: Sequence[str] | None = None,
        **traits: Any,
    ) -> None:
        self.images = None if images is None else ImageSet(images)
        self.images_key = uuid4().hex  # images are not opened to be told apart
        self._own: list[tuple[str, Any]] = []
        self.own_changes = 0
        self._page: Page | None = None
        self._records: dict[int, Optimised] = {}
        self._wanted: list[int] = []
        self._way: Way | None = None
        self._before: dict[str, tuple[Any, tuple[Any, ...]]] = {}
        self._settling = False
        loaded = load(model, labels=labels)
        if layer is not None:
            traits["layer"] = layer
        super().__init__(loaded, **traits)
        self._look = Look(self)
        self.when_closed(self._forget)
        if objective is not None:
            self._begin_with(objective)
        for name in OWN:
            self._placed(name)
        self._start()

    @classmethod
    def of(cls, explorer: "Explorer", **traits: Any) -> "FeatureGallery":
        """Return a gallery of what an Explorer shows, and have it follow.

        It shows the channels of the Explorer's layer; where a region is marked there, those that
        fire in it, the strongest first.

        Parameters
        ----------
        explorer
            An open Explorer.
        traits
            Initial values of the gallery's traits.
        """
        asked = {"layer": explorer.layer, "region": explorer.region, **traits}
        gallery = cls(explorer.model, explorer.images, image_index=explorer.image_index, **asked)

        def follow(change: Any) -> None:
            if change["name"] == "region":  # the picture before its region
                gallery.image_index = explorer.image_index
            setattr(gallery, change["name"], change["new"])

        explorer.observe(follow, ["layer", "region"])
        gallery.when_closed(lambda: explorer.unobserve(follow, ["layer", "region"]))
        return gallery

    # State --------------------------------------------------------------------------------

    def _begin_with(self, objective: Any) -> None:
        """Show an objective first, among its like where there are some."""
        if isinstance(objective, Mapping) and "kind" not in objective:
            for name, each in objective.items():
                self._keep_own(name, each)
            self.kind = "own"
            return
        if isinstance(objective, list | tuple):
            for each in objective:
                self._keep_own(None, each)
            self.kind = "own"
            return
        target = getattr(objective, "target", objective)
        if isinstance(target, str | int) and not isinstance(target, bool):
            target = ClassTarget(target)
        if isinstance(target, ClassTarget) and target.versus is None:
            resolved = resolve_target(target, self.model.labels, 0).to_dict()
            self.kind, self.selected = "classes", int(resolved["index"])
        elif (
            isinstance(target, LayerTarget)
            and target.channel is not None
            and (target.position, target.reduce) == (None, "mean")
        ):
            self.layer = target.layer
            self.kind, self.selected = "channels", target.channel
        else:
            self._keep_own(None, objective)
            self.kind = "own"
        self.page = (self.selected or 0) // PAGE_SIZE

    def _keep_own(self, name: str | None, objective: Any) -> int:
        from xai_widgets.features.objectives import as_objective

        resolved = as_objective(objective).resolved(self.model)
        if resolved.together:
            raise TargetError(
                "diversity and alignment compare several pictures of one objective, and a gallery "
                "makes one of each: use visualise with n."
            )
        text = checked_name(resolved.text(self.model.labels) if name is None else name)
        known = [each for each, _ in self._own]
        if text in known:
            self._own[known.index(text)] = (text, resolved)
            self.own_changes += 1
        else:
            self._own.append((text, resolved))
        return [each for each, _ in self._own].index(text)

    def add(self, objective: Any, name: str | None = None) -> None:
        """Add an objective of one's own and enlarge its picture.

        Parameters
        ----------
        objective
            Anything `visualise` takes; ``direction(layer, vector)`` for a concept vector.
        name
            What to call it; the name that is known takes the new objective.

        Raises
        ------
        XaiError
            If the model has not what the objective is about, or the name is empty.
        """
        index = self._keep_own(name, objective)
        with self._settled():
            self.kind, self.region = "own", None
            self.page, self.selected, self.mix_with = index // PAGE_SIZE, index, None
        self._start()

    @property
    def own(self) -> dict[str, Any]:
        """The objectives that were given, by name."""
        return dict(self._own)

    @observe(*ASKED)
    def _changed(self, change: Any) -> None:
        if self._task is None or self._settling:
            return
        if change["name"] == "image_index" and self.region is None:
            return  # it is where a region lies, and there is none
        if change["name"] == "page":
            self._placed("page")
        if change["name"] in PLACE:
            with self._settled():
                for name, (value, place) in tuple(self._before.items()):
                    if getattr(self, name) == value and place != self._place:
                        setattr(self, name, 0 if name == "page" else None)
        self._start()

    @observe(*LOOKED_AT)
    def _looked(self, change: Any) -> None:
        if self._task is None or self._settling:
            return
        self._placed(change["name"])
        if change["name"] == "selected" and change["new"] is not None and self.region is None:
            page = change["new"] // PAGE_SIZE
            if page != self.page:
                self.page = page  # this starts the job, which looks as well
                return
        asked = (self.selected, self.mix_with)
        missing = [self.record(index) is None for index in asked if index is not None]
        if self.ended and any(missing):
            self._start()
        else:
            self._look.start()

    @property
    def _place(self) -> tuple[Any, ...]:
        """What page, selected and mixed positions are positions of."""
        return self.kind, self.layer, self.region

    def _placed(self, name: str) -> None:
        """Remember what a position was set for: it is forgotten when that changes without it."""
        self._before[name] = (getattr(self, name), self._place)

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """Set several traits for one job."""
        self._settling = True
        try:
            with self.hold_trait_notifications():
                yield
        finally:
            self._settling = False
            for name in OWN:
                self._placed(name)

    # The job ------------------------------------------------------------------------------

    def _start(self) -> Task:
        """Turn the present state into a job that replaces the one before."""
        with self._state_lock:
            self._revision += 1
            for kind in FINAL_KINDS:
                self._shown.pop(kind, None)
            self._error = None
            self._look.stop_mixing()
            asked = {name: getattr(self, name) for name in (*ASKED, *LOOKED_AT)}
            self._tell("accepted", asked, self._revision)
            job = GalleryJob(self, self._revision)
            self._task = self._submit("pictures", job.steps(), job.finish, background=True)
            return self._task

    # Results ------------------------------------------------------------------------------

    @property
    def visualisation(self) -> "Visualisation":
        """The picture that is enlarged, as `visualise` returns it; waits for it.

        Raises
        ------
        XaiError
            If there is none: the sentence that the gallery shows.
        """

        def found() -> "Visualisation | None":
            if self.shown is None:
                raise StateError(
                    "No channel of this layer fires more in the region than elsewhere: mark "
                    "another region, or choose another layer."
                )
            record = self.record(self.shown)
            if record is not None and record.failure:
                raise XaiError(record.failure)
            return None if record is None else record.visualisation

        return self._waited(found)

    def save(self, path: str | Path) -> Path:
        """Write the enlarged picture to a file, as `Visualisation.save` does; waits for it."""
        saved: Path = self.visualisation.save(path)
        return saved

    # Display ------------------------------------------------------------------------------

    def to_png(self) -> bytes:
        """Draw the page and the enlarged picture; waits for what is being computed.

        Raises
        ------
        XaiError
            If there is nothing to show: the sentence that the gallery shows.
        """
        self._waited(lambda: True)
        return self._drawn()

    def _first_png(self) -> bytes:
        """Draw what there is: a page of pictures must not keep the cell waiting."""
        if self._task is not None:
            self._task.wait(PATIENCE_SECONDS)
        return self._drawn()

    def _drawn(self) -> bytes:
        from xai_widgets.widgets.gallery.picture import draw_gallery

        with self._state_lock:
            page, records, shown = self._page, dict(self._records), self.shown
            exciting = self._look.found
        if page is None or not records:
            failed = self._shown.get("error", {}).get("message")
            raise StateError(failed or "No picture is there yet.")
        name = "" if shown is None else page.title(shown, self.names)
        return draw_gallery(self.model.name, page, records, shown, exciting, name)

    def _forget(self) -> None:
        """Let go of the pictures; what still runs keeps nothing more."""
        with self._state_lock:
            self._revision += 1
            self._records, self._page, self._own = {}, None, []
            self._look.forget()
