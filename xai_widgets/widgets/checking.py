"""The readiness check as work for a worker, and its report as a message."""

import math
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from xai_widgets.models.base import ExplainableModel
from xai_widgets.widgets.base import failure
from xai_widgets.widgets.engine import Outcome

if TYPE_CHECKING:
    from xai_widgets.models.readiness.report import Report


def checked(
    model: ExplainableModel,
    image: Any,
    reference: Any,
    tell: Callable[[dict[str, Any]], None],
) -> Generator[None, None, "Report"]:
    """Check a model, yielding before each step, where it may be cancelled.

    Parameters
    ----------
    model, image, reference
        As in `check`.
    tell
        Given the payload of a progress message before each step.

    Returns
    -------
    Report
        What was found.
    """
    from xai_widgets.models.readiness import check_steps

    steps = check_steps(model, image, reference)
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            report: Report = end.value
            return report
        tell({"done": step.done, "total": step.total, "stage": "check", "text": step.text})
        yield


def report_payload(report: "Report | None", outcome: Outcome) -> dict[str, Any]:
    """Return the payload of the `report` message: the report, or why there is none."""
    if report is not None:
        return {"report": plain(report.to_dict()), "error": None}
    if outcome.error is not None:
        return {"report": None, "error": failure(outcome)}
    return {"report": None, "error": {"message": "The check was cancelled.", "traceback": ""}}


def plain(value: Any) -> Any:
    """Return a record as JSON takes it: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
