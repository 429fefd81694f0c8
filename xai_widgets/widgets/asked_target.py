"""The trait `target` as Explorer and path scrubber have it, so that the two can be linked."""

from typing import Any, ClassVar

import traitlets
from traitlets import validate

from xai_widgets.models.base import ExplainableModel
from xai_widgets.models.targets import FunctionTarget, RegionTarget, resolve_target
from xai_widgets.widgets.base import StateError, as_state_error


class AskedTarget(traitlets.HasTraits):
    """A target in its wire form, or None for the predicted class.

    Attributes
    ----------
    functions
        Targets that are functions, by name: they cannot be sent, and their wire form holds the
        name alone.
    no_region
        The sentence for a target over a region.
    """

    model: ExplainableModel
    functions: dict[str, FunctionTarget]
    no_region: ClassVar[str]

    target = traitlets.Any(None, allow_none=True).tag(sync=True)

    @validate("target")
    def _check_target(self, proposal: Any) -> dict[str, Any] | None:
        value = proposal["value"]
        with as_state_error():
            if value is None:
                return None
            if isinstance(value, dict) and value.get("name") in self.functions:
                return self.functions[value["name"]].to_dict()
            target = resolve_target(value, self.model.labels, 0)
            if isinstance(target, RegionTarget):
                raise StateError(self.no_region)
            if isinstance(target, FunctionTarget):
                self.functions[target.name] = target
            if target.layer is not None:
                self.model.resolve_layer(target.layer)
            return target.to_dict()
