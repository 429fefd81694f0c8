"""The maps of a comparison: each explained once, kept by its model's engine, judged like a table.

Maps are kept without their pictures, which all methods of a row share and which are opened again
where they are needed, so that hundreds of photographs fit.
"""

import threading
from collections import OrderedDict
from collections.abc import Generator, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xai_widgets.errors import ImageError, XaiError
from xai_widgets.evaluation.base import Case, Metric, channel_sum
from xai_widgets.evaluation.judging import Judge, Row
from xai_widgets.evaluation.normalise import Normalisation
from xai_widgets.explanation import Explanation
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target
from xai_widgets.widgets.comparison.axes import Axes, Cell
from xai_widgets.widgets.comparison.identity import identity
from xai_widgets.widgets.engine import engine_of

ROW_BYTES = 96 * 1024**2
LEAST_ROWS = 2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Found:
    """An explanation without its picture; see `Explanation` for what is not said here.

    Attributes
    ----------
    seconds
        How long it took.
    """

    attribution: Floats = field(repr=False)
    target: Target
    target_text: str
    score: float
    method: str
    title: str
    layer: str | tuple[str, ...] | None
    signed: bool
    diagnostics: Mapping[str, Any]
    provenance: Mapping[str, Any] = field(repr=False)
    seconds: float

    @classmethod
    def of(cls, explanation: Explanation) -> "Found":
        """Take an explanation apart."""
        return cls(
            attribution=explanation.attribution,
            target=explanation.target,
            target_text=explanation.target_text,
            score=explanation.score,
            method=explanation.method,
            title=explanation.title,
            layer=explanation.layer,
            signed=explanation.signed,
            diagnostics=explanation.diagnostics,
            provenance=explanation.provenance,
            seconds=float(explanation.provenance["duration_s"]),
        )

    @property
    def map(self) -> Floats:
        """float32 [H, W], signed, on the model's input grid."""
        return np.ascontiguousarray(channel_sum(self.attribution))

    @property
    def nbytes(self) -> int:
        """Bytes that it holds, roughly."""
        return self.attribution.nbytes + 4096

    def explanation(self, image: PreparedImage) -> Explanation:
        """Put it together with its picture again."""
        return Explanation(
            attribution=self.attribution,
            target=self.target,
            target_text=self.target_text,
            score=self.score,
            image=image,
            method=self.method,
            title=self.title,
            layer=self.layer,
            signed=self.signed,
            diagnostics=self.diagnostics,
            provenance=self.provenance,
        )


class Maps:
    """Explains cells and gathers what they are judged with.

    What `steps` and `row` do belongs on the worker of the cell's model; `known` and `place` do not
    touch the model.

    Parameters
    ----------
    axes
        What is compared.
    metrics
        By the names that the trait `metrics` knows.
    masks
        One entry a picture, of `masks_for`.
    normalisation, seed
        As in `evaluate`.
    """

    def __init__(
        self,
        axes: Axes,
        metrics: Mapping[str, Metric],
        masks: Sequence[Any],
        normalisation: Normalisation,
        seed: int,
    ) -> None:
        self.axes, self.metrics, self.masks, self._seed = axes, metrics, masks, seed
        self._judges = [
            Judge(
                model=model,
                metrics=list(metrics.values()),
                subjects=axes.subjects,
                target=None,
                normalisation=normalisation,
                controls=True,
                seed=seed,
            )
            for model in axes.models
        ]
        self._rows: OrderedDict[tuple[int, int, int], tuple[Row, int]] = OrderedDict()
        self._broken: dict[tuple[int, int], str] = {}
        self._keys: dict[Cell, Hashable] = {}
        self._lock = threading.Lock()

    def forget(self, model: int | None = None) -> None:
        """Forget what is known of pictures, and which could not be opened.

        Parameters
        ----------
        model
            Whose weights have changed; None: only try broken pictures again.
        """
        with self._lock:
            self._broken.clear()
            if model is not None:
                for place in [place for place in self._rows if place[0] == model]:
                    del self._rows[place]
                for cell in [cell for cell in self._keys if cell.models == model]:
                    del self._keys[cell]

    def known(self, cell: Cell) -> Found | None:
        """Return a cell's map if it was made and is still kept."""
        source = self.axes.source(cell)
        key = self._keys.get(source)
        if key is None:
            return None
        found: Found | None = engine_of(self.axes.models[cell.models]).cache.get(key)
        return found

    def key(self, cell: Cell) -> Hashable:
        """Return what tells a cell's map from all others: weights, picture, method ... and seed.

        Only of cells that were explained.
        """
        return (self._keys[self.axes.source(cell)], self._seed + cell.images)

    def place(self, cell: Cell) -> PreparedImage:
        """Return a cell's picture with the model input made from it.

        Raises
        ------
        XaiError
            If it cannot be opened.
        """
        with self._lock:
            row = self._rows.get((cell.models, cell.images, cell.targets))
        if row is not None:
            return row[0].image
        images = self.axes.images
        image = images[cell.images]
        return self.axes.models[cell.models].prepare(image, images.name(cell.images))

    def row(self, cell: Cell) -> Row:
        """Return a cell's picture with its prediction and what its methods share.

        Raises
        ------
        XaiError
            If it cannot be opened or predicted.
        """
        place = (cell.models, cell.images, cell.targets)
        with self._lock:
            if place in self._rows:
                self._rows.move_to_end(place)
                return self._rows[place][0]
            broken = self._broken.get(place[:2])
        if broken is not None:
            raise ImageError(broken)
        name = self.axes.images.name(cell.images)
        row = Row(self._judges[cell.models], cell.images, name)
        try:
            row.prepare(self.axes.images[cell.images], None, None)
        except XaiError as error:
            with self._lock:
                self._broken[place[:2]] = str(error)
            raise
        row.place(self.masks[cell.images])
        self._keep(place, row)
        return row

    def steps(self, cell: Cell) -> Generator[None, None, tuple[Row, Found, bool]]:
        """Explain a cell, yielding where it may be stopped.

        Returns
        -------
        row, found, cached
            The picture, the map, and whether it was there already.

        Raises
        ------
        XaiError
            If picture, method or target fail: the sentence for this cell.
        """
        source = self.axes.source(cell)
        model, subject = self.axes.models[source.models], self.axes.subject(source)
        target = self.axes.targets[source.targets].value
        row = self.row(source)
        yield
        key = (
            "comparison",
            model.fingerprint,
            row.image.key,
            row.image.display.key,
            row.name,
            subject.method,
            identity(subject.parameters),
            identity(subject.layer),
            identity(target),
        )
        cache = engine_of(model).cache
        found: Found | None = cache.get(key)
        cached = found is not None
        if found is None:
            explanation = yield from subject.stream(model, row.image, target)
            found = Found.of(explanation)
            cache.put(key, found, found.nbytes)
        self._keys[source] = key
        return row, found, cached

    def case(self, cell: Cell, row: Row, found: Found) -> Case:
        """Return a map with everything that it is judged with.

        Raises
        ------
        MapError
            If the map cannot be judged.
        """
        source = self.axes.source(cell)
        subject = self.axes.subject(source)
        explanation = found.explanation(row.image)
        return self._judges[cell.models].case(row, subject.label, explanation, subject)

    def _keep(self, place: tuple[int, int, int], row: Row) -> None:
        image = row.image
        size = image.values.nbytes * (2 + len(self.axes.subjects)) + image.display.pixels.nbytes
        with self._lock:
            self._rows[place] = (row, size)
            total = sum(each for _, each in self._rows.values())
            while total > ROW_BYTES and len(self._rows) > LEAST_ROWS * len(self.axes.models):
                total -= self._rows.popitem(last=False)[1][1]
