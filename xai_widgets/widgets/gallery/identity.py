"""What tells objectives apart, also where their wire form does not: a user's functions, guides."""

from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Any

from xai_widgets.models.targets import FunctionTarget
from xai_widgets.widgets.comparison.identity import identity

if TYPE_CHECKING:
    from xai_widgets.features import Objective


def identity_of(objective: "Objective") -> Hashable:
    """Return what the pictures of a resolved objective are kept by.

    Equal for two of equal wire form, unless they hold what that does not say: a function is known
    by itself, as two may have one name.
    """
    return identity(objective.to_dict()), tuple(map(identity, _unwritten(objective)))


def _unwritten(objective: "Objective") -> Iterator[Any]:
    """Yield what an objective holds beside its wire form."""
    from xai_widgets.features.objective import Sum
    from xai_widgets.features.objective_kinds import Guided, TargetObjective

    if isinstance(objective, Sum):
        for _, term in objective.terms:
            yield from _unwritten(term)
    elif isinstance(objective, Guided):
        yield objective.guide
    elif isinstance(objective, TargetObjective) and isinstance(objective.target, FunctionTarget):
        yield objective.target.function
