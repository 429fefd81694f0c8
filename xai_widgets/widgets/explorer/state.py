"""What an Explorer is asked for: its traits, checked, and what they stand for."""

from typing import Any

from traitlets import Dict, Int, Unicode, validate

from xai_widgets.errors import MethodError
from xai_widgets.explainers.base import build
from xai_widgets.explainers.registry import find
from xai_widgets.models.images import ImageSet
from xai_widgets.widgets.asked_target import AskedTarget
from xai_widgets.widgets.base import StateError, as_state_error
from xai_widgets.widgets.regions import FILLS, check_region

STATE = ("image_index", "target", "layer", "method", "parameters", "region", "ablation")


class ExplorerState(AskedTarget):
    """The traits of `Explorer`, where each is documented.

    Targets that are functions cannot be sent: their wire form holds a name, by which they are kept
    here.
    """

    images: ImageSet
    no_region = (
        "The Explorer takes a region from its trait `region`: set `target` to the class "
        "and `region` to the region."
    )

    image_index = Int(0).tag(sync=True)
    layer = Unicode(None, allow_none=True).tag(sync=True)
    method = Unicode("").tag(sync=True)
    parameters = Dict().tag(sync=True)
    region: Any = Dict(default_value=None, allow_none=True).tag(sync=True)
    ablation = Unicode(None, allow_none=True).tag(sync=True)

    @validate("image_index")
    def _check_index(self, proposal: Any) -> int:
        index = int(proposal["value"])
        if not 0 <= index < len(self.images):
            raise StateError(
                f"There is no image {index}: the Explorer has {len(self.images)}, counted from 0."
            )
        return index

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

    @validate("region")
    def _check_region(self, proposal: Any) -> dict[str, Any] | None:
        with as_state_error():
            return check_region(proposal["value"])

    @validate("ablation")
    def _check_ablation(self, proposal: Any) -> str | None:
        value = proposal["value"]
        if value is not None and value not in FILLS:
            raise StateError(f"A region cannot be filled with {value!r}: use one of {FILLS}.")
        return None if value is None else str(value)
