"""What an Explorer is asked for: its traits, checked, and what they stand for."""

from typing import Any

from traitlets import Dict, Int, Unicode, validate

from xai_widgets.models.images import ImageSet
from xai_widgets.widgets.asked_method import AskedMethod
from xai_widgets.widgets.base import StateError, as_state_error
from xai_widgets.widgets.regions import FILLS, check_region

STATE = ("image_index", "target", "layer", "method", "parameters", "region", "ablation")


class ExplorerState(AskedMethod):
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
