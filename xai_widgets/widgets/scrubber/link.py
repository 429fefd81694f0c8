"""What a path scrubber and the Explorer that it was opened from share."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import traitlets

from xai_widgets.errors import XaiError
from xai_widgets.explainers.base import build
from xai_widgets.explainers.registry import find
from xai_widgets.widgets.scrubber.state import MAX_STEPS, MIN_STEPS

if TYPE_CHECKING:
    from xai_widgets.widgets.explorer.explorer import Explorer
    from xai_widgets.widgets.scrubber.scrubber import PathScrubber

METHOD = "integrated_gradients"
SHARED = ("baseline", "n_steps")


def chosen(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return baseline and steps out of an Explorer's parameters, as the scrubber has them."""
    method = build(find(METHOD), parameters.get(METHOD, {}))
    found = {name: getattr(method, name) for name in SHARED}
    return found | {"n_steps": min(max(found["n_steps"], MIN_STEPS), MAX_STEPS)}


def share(explorer: "Explorer", scrubber: "PathScrubber") -> Callable[[], None]:
    """Keep target, image, baseline and steps together, whichever of the two changes them.

    A baseline that only the scrubber has (a picture of its own, "images") stays there.

    Returns
    -------
    callable
        Parts the two.
    """
    # Targets that are functions are sent by name; what the name stands for is shared too.
    explorer.functions.update(scrubber.functions)
    scrubber.functions = explorer.functions
    link = traitlets.link((explorer, "target"), (scrubber, "target"))

    def follow_image(change: Any) -> None:
        try:
            scrubber.image = explorer.images[change["new"]]
        except XaiError as error:  # the Explorer tells it as well, and goes on
            scrubber.refuse(error)

    def follow_parameters(change: Any) -> None:
        before, after = chosen(change["old"]), chosen(change["new"])
        for name in SHARED:
            if after[name] != before[name] and getattr(scrubber, name) != after[name]:
                setattr(scrubber, name, after[name])

    def tell(change: Any) -> None:
        name, value = change["name"], change["new"]
        if chosen(explorer.parameters)[name] == value or not isinstance(value, str | int):
            return
        if value == "images":
            return
        own = {**explorer.parameters.get(METHOD, {}), name: value}
        plain = find(METHOD)()
        if getattr(plain, name) == value:  # only what differs from the defaults is written
            del own[name]
        explorer.parameters = {**explorer.parameters, METHOD: own}

    explorer.observe(follow_image, "image_index")
    explorer.observe(follow_parameters, "parameters")
    scrubber.observe(tell, list(SHARED))

    def part() -> None:
        link.unlink()
        explorer.unobserve(follow_image, "image_index")
        explorer.unobserve(follow_parameters, "parameters")
        scrubber.unobserve(tell, list(SHARED))

    return part
