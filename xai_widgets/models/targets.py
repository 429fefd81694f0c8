"""What an explanation explains: a class, or the contrast between two classes."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from xai_widgets.errors import TargetError, near_matches


@dataclass(frozen=True)
class ClassTarget:
    """The score of one class, or its score minus another's.

    Attributes
    ----------
    index
        The class, as its position in the output or as its label.
    versus
        With a contrast: the class whose score is subtracted.
    """

    index: int | str
    versus: int | str | None = None
    kind: ClassVar[str] = "class"

    def __call__(self, scores: Any) -> Any:
        """Reduce scores [N, K] to one number per image, [N], in the scores' framework."""
        chosen = scores[:, self.index]
        return chosen if self.versus is None else chosen - scores[:, self.versus]

    def to_dict(self) -> dict[str, Any]:
        """Return the wire form, the same in Python, in the browser and in exported files."""
        return {"kind": self.kind, "index": self.index, "versus": self.versus}

    def text(self, labels: Sequence[str]) -> str:
        """Name the target for people: ``"zebra"`` or ``"zebra versus horse"``."""
        name = labels[int(self.index)]
        return name if self.versus is None else f"{name} versus {labels[int(self.versus)]}"


def resolve_target(target: Any, labels: Sequence[str], predicted: int) -> ClassTarget:
    """Turn what a user wrote into a target with class positions.

    Parameters
    ----------
    target
        None for the predicted class, a position, a label, a `ClassTarget` or its wire form.
    labels
        The K class labels.
    predicted
        The class with the highest score.

    Raises
    ------
    TargetError
        If a class does not exist, with near matches; if a class is contrasted with itself.
    """
    if target is None:
        return ClassTarget(predicted)
    if isinstance(target, Mapping):
        if target.get("kind", "class") != "class":
            raise TargetError(f"Unknown kind of target {target.get('kind')!r}: expected 'class'.")
        if "index" not in target:
            raise TargetError("A class target needs an 'index': the class position or label.")
        target = ClassTarget(target["index"], target.get("versus"))
    if not isinstance(target, ClassTarget):
        target = ClassTarget(target)
    index = class_index(target.index, labels)
    versus = None if target.versus is None else class_index(target.versus, labels)
    if index == versus:
        raise TargetError(
            f"{labels[index]!r} cannot be contrasted with itself: choose another class."
        )
    return ClassTarget(index, versus)


def class_index(name: Any, labels: Sequence[str]) -> int:
    """Return the position of a class given by position or label.

    Raises
    ------
    TargetError
        If there is no such class, or several share the label.
    """
    if isinstance(name, str):
        found = [i for i, label in enumerate(labels) if label == name] or [
            i for i, label in enumerate(labels) if label.lower() == name.lower()
        ]
        if len(found) == 1:
            return found[0]
        if found:
            raise TargetError(
                f"{len(found)} classes are called {name!r}: give the position instead, one of "
                f"{found[:8]}."
            )
        raise TargetError(f"There is no class {name!r}.{near_matches(name, labels)}")
    try:
        if isinstance(name, bool):
            raise TypeError
        index = operator.index(name)
    except TypeError:
        raise TargetError(
            f"A target cannot be a {type(name).__name__}: give a class position, a label or a "
            "ClassTarget."
        ) from None
    if not 0 <= index < len(labels):
        raise TargetError(
            f"There is no class {index}: the model has {len(labels)} outputs, "
            f"0 to {len(labels) - 1}."
        )
    return index
