"""Why a concept cannot be tested, in sentences."""

from xai_widgets.concepts.options import MIN_EXAMPLES, MIN_POOL


def constant(layer: str) -> str:
    """Say that a layer has nothing to tell pictures apart by."""
    return (
        f"Layer {layer!r} gives the same activations for every picture: choose another layer, or "
        "check the model."
    )


def too_small(name: str, n: int, pool: int, against: str) -> str:
    """Say that a concept or what it is compared with has too few pictures; "" where it has not."""
    if n == 0:
        return f"Concept {name!r} is empty: give it at least {MIN_EXAMPLES} examples."
    if n < MIN_EXAMPLES:
        return (
            f"Concept {name!r} has {n} example{'s' if n > 1 else ''} that differ: at least "
            f"{MIN_EXAMPLES} are needed, and 20 to 40 are enough for most concepts."
        )
    if pool < MIN_POOL and against == "random":
        return (
            f"The random pool holds {pool} picture{'' if pool == 1 else 's'}: give at least "
            f"{MIN_POOL}, better several times as many as a concept has examples."
        )
    if pool < MIN_EXAMPLES:
        return (
            f"Concept {name!r} has no other concept to be tested against: give another with at "
            f'least {MIN_EXAMPLES} examples, or test against "random".'
        )
    return ""


def constant_pool(layer: str) -> str:
    """Say that a layer has nothing to tell the random pictures apart by."""
    return (
        f"Layer {layer!r} gives the same activations for every picture of the pool; "
        "choose another layer, or other random pictures."
    )
