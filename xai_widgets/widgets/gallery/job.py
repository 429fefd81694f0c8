"""One job of a gallery: the pictures of a page, in batches, what is in sight first."""

import json
import time
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import MethodError
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.images import DisplayImage
from xai_widgets.superpixels import segment
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.engine import Outcome, Steps
from xai_widgets.widgets.gallery.identity import identity_of
from xai_widgets.widgets.gallery.pace import Pace, pace_of
from xai_widgets.widgets.gallery.record import Optimised, part_of
from xai_widgets.widgets.gallery.state import ASKED, LOOKED_AT, PAGE_SIZE
from xai_widgets.widgets.regions import encode_runs, region_mask

if TYPE_CHECKING:
    from xai_widgets.features.objectives import Objective
    from xai_widgets.widgets.gallery.views import GalleryViews

TELL_SECONDS = 0.1
WHERE_SIDE = 192


@dataclass(frozen=True, eq=False)
class Page:
    """What is shown, before any picture of it.

    Attributes
    ----------
    key
        Equal for pages that share their pictures: of one kind, layer and way of optimising, with
        the same weights and the same own objectives by their names.
    kind, layer
        What has pictures.
    items
        Objective by position, in the order in which they are shown.
    names
        Short names by position.
    values
        How much more each fires in the region than elsewhere, in standard deviations, where the
        page is of a region.
    total, number
        Items on all pages, and which page this is.
    where
        The picture with the region.
    """

    key: str
    kind: str
    layer: str | None
    items: Mapping[int, "Objective"]
    names: Mapping[int, str]
    values: Mapping[int, float]
    total: int
    number: int
    where: dict[str, Any] | None

    def title(self, index: int, names: Sequence[str]) -> str:
        """Name something of the page's kind for people, after the names of all that there are."""
        return f"channel {index} of {self.layer}" if self.kind == "channels" else names[index]

    def to_dict(self, own: list[str]) -> dict[str, Any]:
        """Return the payload of a `gallery` message."""
        return {
            "key": self.key,
            "kind": self.kind,
            "layer": self.layer,
            "total": self.total,
            "page": self.number,
            "page_size": PAGE_SIZE,
            "items": [
                {"index": index, "name": self.names[index], "value": self.values.get(index)}
                for index in self.items
            ],
            "where": self.where,
            "own": own,
        }


class GalleryJob:
    """Finds what is on the page, takes what is known, and optimises the rest."""

    def __init__(self, gallery: "GalleryViews", revision: int) -> None:
        self._gallery = gallery
        self._revision = revision
        self._started = time.perf_counter()
        self._stage = "load"
        self._computed = 0
        self._state = {name: getattr(gallery, name) for name in (*ASKED, *LOOKED_AT)}
        self._parameters = gallery.asked_parameters
        self._way = Way(self._parameters, None)
        self._pace = Pace(1.0)

    def steps(self) -> Steps:
        """Do the work, yielding wherever it may be cancelled."""
        gallery, model = self._gallery, self._gallery.model
        reason = model.capabilities.reason(("input_gradients",))
        if reason is not None:
            raise MethodError(f"Pictures are made by following gradients to the input. {reason}")
        self._stage = "explain"
        yield
        start = self._state["start"]
        if start is not None and gallery.images is not None:
            self._way = Way(self._parameters, gallery.images[start])
        page = yield from self._page()
        if not gallery.turn(page, self._way, self._revision):
            return
        objectives = dict(page.items)
        for name in ("selected", "mix_with"):
            index = self._state[name]
            if index is not None and index not in objectives:
                objectives[index] = objective_at(gallery, page, index)
        known, missing = {}, []
        for index, objective in objectives.items():
            record = gallery._engine.cache.get(self._way.key(model, objective))
            if record is None:
                missing.append(index)
            else:
                known[index] = record
        gallery.keep(known, True, self._revision)
        gallery.look(self._revision)
        yield
        total = len(objectives)
        if missing:
            self._pace = pace_of(model, gallery._engine.cache)
            yield
        while missing:
            done = total - len(missing)
            batch = self._next(missing)
            yield from self._optimise({index: objectives[index] for index in batch}, done, total)
            missing = [index for index in missing if index not in batch]

    def finish(self, outcome: Outcome) -> None:
        """Send the one final message."""
        if outcome.kind == "error":
            payload = {**failure(outcome), "stage": self._stage, "withdrawn": []}
        elif outcome.kind == "cancelled":
            payload = {"message": "Cancelled: these are the pictures that there are."}
        else:
            payload = {
                "seconds": round(time.perf_counter() - self._started, 3),
                "cached": self._computed == 0,
                "target": None,
                "layer": None,
                "facts": [],
                "notes": [],
            }
        self._gallery._end(self._revision, outcome, payload)
        if outcome.kind == "cancelled":
            self._gallery.look(self._revision, compute=False)

    # Parts --------------------------------------------------------------------------------

    def _next(self, missing: list[int]) -> list[int]:
        """Return the next batch: what is enlarged or in sight, then the others in order."""
        first = [index for index in self._gallery.wanted(self._revision) if index in missing]
        order = dict.fromkeys([*first, *missing])
        return list(order)[: self._pace.batch]

    def _page(self) -> Generator[None, None, Page]:
        from xai_widgets.features import objectives

        gallery, state = self._gallery, self._state
        kind, layer, where = state["kind"], None, None
        values: dict[int, float] = {}
        names = list(gallery.names)
        order = list(range(len(names)))
        if kind == "channels":
            layer = gallery.resolved_layer
            if state["region"] is not None:
                values, where = yield from self._firing(layer)
                order = list(values)
        number = min(state["page"], max(0, (len(order) - 1) // PAGE_SIZE))
        chosen = order[number * PAGE_SIZE : (number + 1) * PAGE_SIZE]
        items: dict[int, Any]
        if kind == "channels":
            items = {index: channel(gallery.model, str(layer), index) for index in chosen}
        elif kind == "classes":
            items = {index: objectives.class_score(index) for index in chosen}
        else:
            items = {index: gallery._own[index][1] for index in chosen}
        given = gallery.own_changes if kind == "own" else 0
        key = json.dumps([kind, layer, self._way.text, gallery.model.fingerprint, given])
        shown = {index: names[index] for index in chosen}
        return Page(key, kind, layer, items, shown, values, len(order), number, where)

    def _firing(self, layer: str) -> Generator[None, None, tuple[dict[int, float], dict[str, Any]]]:
        """Return the channels that fire in the region with their contrasts, and the region."""
        from xai_widgets.features import firing_channels

        gallery, state = self._gallery, self._state
        assert gallery.images is not None
        image: DisplayImage = gallery.images[state["image_index"]]
        yield
        region = state["region"]
        mask = region_mask(region, image, lambda: segment(image))
        if region["type"] == "superpixels":  # their outlines are not known elsewhere
            region = {"type": "mask", "size": list(mask.shape), "counts": encode_runs(mask)}
        records = firing_channels(gallery.model, image, layer, region, n=PAGE_SIZE)
        yield
        where = {
            "name": image.name,
            "width": image.width,
            "height": image.height,
            "array": image.resized(WHERE_SIDE),
            "region": region,
        }
        return {each.channel: each.contrast for each in records}, where

    def _optimise(self, batch: Mapping[int, Any], done: int, total: int) -> Steps:
        """Optimise some pictures at once, and tell how they come along."""
        from xai_widgets.features import visualise_stream

        gallery, model = self._gallery, self._gallery.model
        records = {index: Optimised() for index in batch}
        every = self._pace.every(self._parameters["n_steps"])
        stream = visualise_stream(
            model, objectives=list(batch.values()), every=every, **self._way.arguments
        )
        told = 0.0
        try:
            while True:
                step = next(stream)
                for at, record in enumerate(records.values()):
                    record.take(step.done, step.total, step.images[at], step.values[at])
                due = time.perf_counter() - told > TELL_SECONDS or step.done in (0, step.total)
                gallery.keep(records, False, self._revision, tell=due)
                if due:
                    told = time.perf_counter()
                    self._progress(done, len(batch), total, step.done / max(1, step.total))
                yield
        except StopIteration as stop:
            made = stop.value
        except MethodError as error:
            if not all(record.newest for record in records.values()) or len(batch) == total:
                raise
            # None of these answers to anything; the others of the page may.
            for record in records.values():
                record.failure = str(error)
            gallery.keep(records, True, self._revision)
            return
        finally:
            stream.close()
        for at, (index, record) in enumerate(records.items()):
            record.finish(part_of(made, at))
            key = self._way.key(model, batch[index])
            gallery._engine.cache.put(key, record, record.nbytes)
        self._computed += len(batch)
        gallery.keep(records, True, self._revision)
        if gallery.shown in records:
            gallery.look(self._revision)
        yield

    def _progress(self, done: int, batch: int, total: int, share: float) -> None:
        progress = {
            "done": done + int(batch * share),
            "total": total,
            "stage": "explain",
            "text": "Optimising pictures",
        }
        self._gallery._reply("progress", progress, self._revision)


def objective_at(gallery: "GalleryViews", page: Page, index: int) -> "Objective":
    """Return the objective of something of a page's kind, which may be on another page.

    Raises
    ------
    MethodError
        If there is no such channel, class or objective.
    """
    from xai_widgets.features import objectives

    if index in page.items:
        return page.items[index]
    names = gallery.names
    if index >= len(names):
        what = {"channels": f"channel of {page.layer}", "classes": "class", "own": "objective"}
        raise MethodError(
            f"There is no {what[page.kind]} {index}: there are {len(names)}, counted from 0."
        )
    if page.kind == "channels":
        return channel(gallery.model, str(page.layer), index)
    return objectives.class_score(index) if page.kind == "classes" else gallery._own[index][1]


def channel(model: ExplainableModel, layer: str, index: int) -> "Objective":
    """Return a channel of a layer, of one that returns a vector too."""
    from xai_widgets.features import objectives

    if layer in [each.name for each in model.layers]:
        return objectives.channel(layer, index)
    unit = [float(each == index) for each in range(model.layer(layer).shape[-1])]
    return objectives.direction(layer, unit, name=f"channel {index}")


@dataclass(frozen=True, eq=False)
class Way:
    """How pictures are optimised, as it was asked for.

    Attributes
    ----------
    parameters
        Of `visualise`.
    start
        The image that they start from; None for noise.
    """

    parameters: Mapping[str, Any]
    start: DisplayImage | None

    @property
    def text(self) -> str:
        """All of it, to tell one way from another."""
        start = None if self.start is None else self.start.key
        return json.dumps([self.parameters, start], sort_keys=True)

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments of `visualise`: one start for all, so that a picture is the same alone."""
        return {**self.mixed, "same_start": True}

    @property
    def mixed(self) -> dict[str, Any]:
        """The arguments of `mixtures`."""
        return {**self.parameters, "start": self.start}

    def key(self, model: ExplainableModel, objective: "Objective") -> tuple[Hashable, ...]:
        """Return what a picture is remembered by."""
        return ("feature", model.fingerprint, identity_of(objective), self.text)
