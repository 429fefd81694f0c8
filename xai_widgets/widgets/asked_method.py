"""Layer, method and parameters as Explorer and SketchPad have them, beside the target."""

from typing import Any

from traitlets import Dict, Unicode, validate

from xai_widgets.errors import MethodError
from xai_widgets.explainers.base import build
from xai_widgets.explainers.registry import find
from xai_widgets.widgets.asked_target import AskedTarget
from xai_widgets.widgets.base import as_state_error


class AskedMethod(AskedTarget):
    """What is asked of a model about a picture: target, layer, method, parameters by method."""

    layer = Unicode(None, allow_none=True).tag(sync=True)
    method = Unicode("").tag(sync=True)
    parameters = Dict().tag(sync=True)

    @validate("layer")
    def _check_layer(self, proposal: Any) -> str | None:
        with as_state_error():
            value = proposal["value"]
            return None if value is None else self.model.resolve_layer(value)

    @validate("method")
    def _check_method(self, proposal: Any) -> str:
        with as_state_error():
            name = str(proposal["value"])
            if name:
                explainer = find(name)
                reason = self.model.capabilities.reason(explainer.needs)
                if reason is not None:
                    raise MethodError(f"{explainer.title} cannot explain this model. {reason}")
            return name

    @validate("parameters")
    def _check_parameters(self, proposal: Any) -> dict[str, Any]:
        with as_state_error():
            for name, values in proposal["value"].items():
                build(find(name), values)
        return dict(proposal["value"])
