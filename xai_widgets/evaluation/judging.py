"""One picture's row of the table: explain by each method, then measure; each fails by itself."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xai_widgets.errors import ImageError, XaiError
from xai_widgets.evaluation.base import Case, Mask, Metric, check_attribution
from xai_widgets.evaluation.controls import SHARED, control_case, hardest
from xai_widgets.evaluation.localisation import placed
from xai_widgets.evaluation.masks import mask_of
from xai_widgets.evaluation.normalise import Normalisation
from xai_widgets.evaluation.subjects import DISTRIBUTING, Subject
from xai_widgets.explanation import Explanation
from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.primitives import PreparedImage
from xai_widgets.models.targets import Target

Found = Generator[list[dict[str, Any]], None, None]
"""Yields the records that are finished; an empty list is a step at which to stop."""


@dataclass(frozen=True, eq=False)
class Judge:
    """What stays the same from picture to picture; see `evaluate` for the parameters."""

    model: ExplainableModel | None
    metrics: Sequence[Metric]
    subjects: Sequence[Subject] | None
    target: Any
    normalisation: Normalisation
    controls: bool
    seed: int
    random_label_model: ExplainableModel | None = None

    def picture(
        self,
        source: Any,
        index: int,
        title: str,
        mask: Any,
        label: Any,
        ready: Sequence[Explanation] | None,
        names: Sequence[str],
    ) -> Found:
        """Explain and measure one picture; each method and metric fails by itself.

        Parameters
        ----------
        source
            The picture, or why it cannot be opened.
        index, title
            Its position and its name.
        mask, label
            Its mask and its true class by name, or None.
        ready
            Finished explanations of it, instead of the methods.
        names
            The labels of all methods, in order.
        """
        row = Row(self, index, title)
        try:
            row.prepare(source, label, ready)
        except Exception as error:
            for name in names:
                yield [row.failed(name, metric, sentence_of(error)) for metric in self.metrics]
            return
        problems: dict[str, str] = {}
        cases: dict[str, Case] = {}
        row.place(mask)
        for name in names:
            try:
                cases[name] = yield from self._explained(row, name, ready)
            except Exception as error:
                problems[name] = sentence_of(error)
        maps = {name: case.attribution for name, case in cases.items()}
        for metric in self.metrics:
            for name in names:
                if name in problems:
                    yield [row.failed(name, metric, problems[name])]
                    continue
                others = {key: values for key, values in maps.items() if key != name}
                yield from row.measured(replace(cases[name], others=others), metric)

    def _explained(
        self, row: "Row", name: str, ready: Sequence[Explanation] | None
    ) -> Generator[list[dict[str, Any]], None, Case]:
        """Explain the picture by one method, and gather what its map is judged with."""
        subject = None
        if ready is not None:
            explanation = next((one for one in ready if one.method == name), None)
            if explanation is None:
                raise ImageError(
                    f"There is no explanation of {row.name!r} by {name}: give one, or leave the "
                    "method out."
                )
        else:
            assert self.model is not None and self.subjects is not None
            subject = next(one for one in self.subjects if one.label == name)
            stream = subject.stream(self.model, row.image, row.target or self.target)
            try:
                while True:
                    next(stream)
                    yield []
            except StopIteration as stop:
                explanation = stop.value
            finally:
                stream.close()
        return self.case(row, name, explanation, subject)

    def case(
        self, row: "Row", name: str, explanation: Explanation, subject: Subject | None
    ) -> Case:
        """Return a map with everything that it is judged with.

        Parameters
        ----------
        row
            The picture, prepared.
        name
            What records call the method.
        explanation
            Of the row's picture.
        subject
            What made it, where it can explain again.

        Raises
        ------
        MapError
            If the map cannot be judged.
        """
        explain = None
        random_label = None
        attribution = check_attribution(explanation.attribution, row.image)
        row.target, row.target_text = explanation.target, explanation.target_text
        if subject is not None and self.model is not None:
            explain = subject.explainer(self.model, explanation.target)
            other = self.random_label_model
            if other is not None:
                random_label = (other, subject.explainer(other, explanation.target))
        return Case(
            image=row.image,
            attribution=attribution,
            method=name,
            model=self.model,
            target=explanation.target,
            mask=row.mask,
            explain=explain,
            random_label_model=random_label,
            diagnostics=explanation.diagnostics,
            distributes=explanation.method in DISTRIBUTING,
            normalisation=self.normalisation,
            seed=self.seed + row.index,
            shared=row.found,
        )


@dataclass(eq=False)
class Row:
    """A picture that is being judged, and what its methods share: mask, controls, findings."""

    judge: Judge
    index: int
    name: str
    image: PreparedImage = field(init=False)
    target: Target | None = None
    target_text: str | None = None
    predicted: str | None = None
    confidence: float | None = None
    label: Any = None
    correct: bool | None = None
    mask: Mask | None = None
    mask_problem: str | None = None
    found: dict[Any, Any] = field(default_factory=dict)
    shared: dict[tuple[str, int], float | None] = field(default_factory=dict)
    weights: dict[str, Case | None] = field(default_factory=dict)

    def prepare(self, source: Any, label: Any, ready: Sequence[Explanation] | None) -> None:
        """Open the picture and let the model predict it."""
        if isinstance(source, Exception):
            raise source
        model = self.judge.model
        self.image = ready[0].image if ready else model.prepare(source)  # type: ignore[union-attr]
        if model is not None:
            outputs = model.outputs(self.image.values[None])
            best = model.predicted_class(model.backend.to_numpy(outputs)[0])
            self.predicted = model.labels[best]
            probabilities = model.probabilities(outputs)
            if probabilities is not None:
                self.confidence = float(probabilities[0, best])
            self.correct = None if label is None else label == self.predicted
        self.label = label

    def place(self, mask: Any) -> None:
        """Bring the picture's mask, if it has one, onto the model's input grid."""
        try:
            found = mask_of(mask, self.image.display)
            self.mask = None if found is None else placed(found, self.image)
        except XaiError as error:
            self.mask_problem = str(error)

    def measured(self, case: Case, metric: Metric) -> Found:
        """Measure one case and its controls."""
        if "mask" in metric.needs and self.mask_problem is not None:
            yield [self.failed(case.method, metric, self.mask_problem)]
            return
        try:
            steps = metric.checked_steps(case)
            try:
                while True:
                    next(steps)
                    yield []
            except StopIteration as stop:
                value = float(stop.value)
            finally:
                steps.close()
            low, high = metric.bounds(case)
            controls = self._controls(case, metric) if self.judge.controls else {}
        except Exception as error:
            yield [self.failed(case.method, metric, sentence_of(error))]
            return
        best = hardest(metric, controls)
        record = self._record(case.method, metric)
        record.update(
            value=value,
            minimum=low,
            maximum=high,
            controls=controls,
            control_name=best,
            control=None if best is None else controls[best],
        )
        yield [record]

    def failed(self, method: str, metric: Metric, sentence: str) -> dict[str, Any]:
        """Return a record without a value that says why."""
        return {**self._record(method, metric), "note": sentence}

    def _controls(self, case: Case, metric: Metric) -> dict[str, float]:
        """Return what the metric gives for its controls; one that fails is left out."""
        found: dict[str, float] = {}
        for control in metric.controls:
            key = (control, id(metric))
            if control in SHARED and metric.family != "agreement":
                if key not in self.shared:
                    self.shared[key] = self._control(control, case, metric)
                value = self.shared[key]
            else:
                value = self._control(control, case, metric)
            if value is not None:
                found[control] = value
        return found

    def _control(self, control: str, case: Case, metric: Metric) -> float | None:
        try:
            if control != "random_weights":
                return metric.measure(control_case(control, case))
            if case.method not in self.weights:
                able = case.model is not None and case.explain is not None
                self.weights[case.method] = control_case(control, case) if able else None
            other = self.weights[case.method]
            return None if other is None else metric.measure(other)
        except XaiError:  # the control map is constant, say, as a CAM of a random network can be
            return None

    def _record(self, method: str, metric: Metric) -> dict[str, Any]:
        return {
            "image": self.name,
            "image_index": self.index,
            "method": method,
            "metric": metric.name,
            "value": None,
            "mean": None,
            "low": None,
            "high": None,
            "control": None,
            "control_name": None,
            "controls": {},
            "control_mean": None,
            "gain_low": None,
            "gain_high": None,
            "direction": metric.direction,
            "minimum": metric.minimum,
            "maximum": metric.maximum,
            "unit": metric.unit,
            "parameters": metric.parameters(),
            "normalisation": self.judge.normalisation.to_dict(),
            "target": self.target_text,
            "predicted": self.predicted,
            "confidence": self.confidence,
            "label": self.label,
            "correct": self.correct,
            "seed": self.judge.seed,
            "n_images": 0,
            "note": None,
        }


def sentence_of(error: Exception) -> str:
    """Return what a reader of the table is told of an error."""
    if isinstance(error, XaiError):
        return str(error)
    return f"It stopped with {type(error).__name__}: {' '.join(str(error).split())[:300]}"
