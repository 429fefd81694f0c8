"""Choose DeepLIFT's multipliers for the operations of a traced graph, and name what has none."""

from typing import Any

from xai_widgets.models import keras_multipliers as rules
from xai_widgets.models.keras_rules import override, registered
from xai_widgets.models.keras_way import CALLS, Way, body_of

LINEAR = """
Add AddV2 AddN Sub Neg BiasAdd Mean Sum AvgPool AvgPool3D Reshape Transpose ConjugateTranspose
ConcatV2 Concat Split SplitV Pad PadV2 MirrorPad StridedSlice Slice Squeeze ExpandDims Tile
BroadcastTo Identity Snapshot Cast Pack Unpack Gather GatherV2 GatherNd ResizeBilinear
ResizeNearestNeighbor ResizeBicubic ScaleAndTranslate SpaceToBatchND BatchToSpaceND DepthToSpace
SpaceToDepth Cumsum ReverseV2 Roll ExtractImagePatches CropAndResize EnsureShape CheckNumerics
"""
"""Their own gradient is exact, whichever of their inputs depend on the images."""
FACTORS = """
Mul MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Conv2D Conv3D DepthwiseConv2dNative
Conv2DBackpropInput FusedBatchNormV3 FusedBatchNormV2
"""
"""Linear as long as one of their inputs depends on the images."""
_LINEAR, _FACTORS = frozenset(LINEAR.split()), frozenset(FACTORS.split())

_ONE = {
    **{
        kind: registered(f"Rescale{kind}", rules.elementwise(slope, scale))
        for kind, (slope, scale) in rules.SLOPES.items()
    },
    **{
        kind: registered(f"Rescale{kind}", rules.closed(multiplier))
        for kind, multiplier in rules.CLOSED.items()
    },
    "Softmax": registered("RescaleSoftmax", rules.softmax),
    "LogSoftmax": registered("RescaleLogSoftmax", rules.log_softmax),
    "MaxPool": registered("RescaleMaxPool", rules.max_pool),
    "Max": registered("RescaleMax", rules.reduce_max),
    "Min": registered("RescaleMax", rules.reduce_max),
    "Pow": registered("RescalePow", rules.power),
}
_CLIP = [registered(f"RescaleClip{i}", rules.clip(i)) for i in range(2)]
_MASKED = [registered(f"RescaleMasked{i}", rules.masked(i)) for i in range(2)]
_CHOSEN = [registered(f"RescaleChosen{i}", rules.chosen(i)) for i in range(3)]
_LARGER = registered("RescaleLarger", rules.larger)
_BILINEAR = registered("RescaleBilinear", rules.bilinear)
_QUOTIENT = [registered(f"RescaleQuotient{i}", rules.quotient(bool(i))) for i in range(2)]
_SQUARED = {
    (a, b): registered(f"RescaleSquaredDifference{a:d}{b:d}", rules.squared_difference(a, b))
    for a, b in ((True, False), (False, True), (True, True))
}
_STRAIGHT = registered("RescaleStraightThrough", rules.straight_through)


def apply_rescale(way: Way) -> None:
    """Give every operation on the way its multipliers."""
    for operation in way.operations:
        name, _ = _choice(way, operation)
        if name is not None:
            override(operation, name)


def incomplete_operations(way: Way) -> tuple[str, ...]:
    """Return the kinds of operations on the way for which there is no exact rule."""
    found = {operation.type: None for operation in way.operations if not _choice(way, operation)[1]}
    return tuple(found)


def _choice(way: Way, operation: Any) -> tuple[str | None, bool]:
    """Return the gradient an operation gets, None for its own, and whether that completes."""
    kind, inputs = operation.type, list(operation.inputs)
    if not way.is_live(operation.outputs[0]):
        return None, not _loses(way, operation)
    live = [i for i, tensor in enumerate(inputs) if way.is_live(tensor)]
    moving = [i for i, tensor in enumerate(inputs) if way.moves(tensor)]
    if kind == "IdentityN":
        return _STRAIGHT, True
    if kind in _LINEAR:
        return None, live == moving
    if kind in _FACTORS and len(live) == 1 and live == moving:
        return None, not (kind.startswith("FusedBatchNorm") and operation.get_attr("is_training"))
    if any(_batch_is_lost(inputs[i]) for i in live):
        return None, False
    if kind in CALLS:
        return None, live == moving and _is_linear(operation, live)
    if kind == "SquaredDifference":
        return _SQUARED[0 in live, 1 in live], True
    if kind in ("Select", "SelectV2"):
        return _CHOSEN[live[0]], True
    if kind == "Mul" and len(moving) == 2:
        return (_BILINEAR, True) if len(live) == 2 else (_MASKED[live[0]], True)
    if live != moving:
        return None, False
    return _exact(operation, kind, live)


def _exact(operation: Any, kind: str, live: list[int]) -> tuple[str | None, bool]:
    if kind in _ONE and live == [0]:
        return _ONE[kind], True
    if kind in ("Maximum", "Minimum"):
        return (_LARGER if len(live) == 2 else _CLIP[live[0]]), True
    if kind in ("RealDiv", "Div", "DivNoNan"):
        return (_QUOTIENT[0 in live] if 1 in live else None), True
    if kind in ("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"):
        return _BILINEAR, True
    if kind == "Einsum" and len(live) == 2 and _keeps_batch(operation.get_attr("equation")):
        return _BILINEAR, True
    return None, False


def _is_linear(operation: Any, live: list[int]) -> bool:
    """Tell whether a function that is called is linear in what depends on the images."""
    body = body_of(operation)
    if body is None:
        return False
    way = Way(body, [body.inputs[i] for i in live], body.outputs)
    return all(_choice(way, inner) == (None, True) for inner in way.operations)


def _loses(way: Way, operation: Any) -> bool:
    """Tell whether values are lost that the output depends on smoothly.

    Comparisons are judged where they are used. The mean inside of a variance may be stopped: the
    deviations from it sum to zero.
    """
    if operation.type != "StopGradient" or not way.is_live(operation.inputs[0]):
        return bool(operation.type in ("Floor", "Ceil", "Round", "Rint", "Sign", "PyFunc"))
    users = [user for user in operation.outputs[0].consumers() if user.name in way.positions]
    return any(user.type != "SquaredDifference" for user in users)


def _batch_is_lost(tensor: Any) -> bool:
    """Tell whether the first axis is no longer that of the images, whose number is not known."""
    return tensor.shape.rank in (None, 0) or tensor.shape[0] is not None


def _keeps_batch(equation: bytes) -> bool:
    """Tell whether all parts of an Einsum start with the same axis."""
    text = equation.decode()
    parts = text.replace("->", ",").split(",")
    return len(parts) == 3 and len({part[:1] for part in parts}) == 1 and "." not in text
