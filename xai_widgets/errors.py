"""Every error a user can meet: one hierarchy, each message a sentence that says what to do."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


class XaiError(Exception):
    """Base of all errors raised on purpose by xai_widgets."""


class ImageError(XaiError, ValueError):
    """An image cannot be opened, decoded or understood."""


class PreprocessingError(XaiError, ValueError):
    """Preprocessing was not given in a form that can be applied."""


class ModelError(XaiError, ValueError):
    """A model cannot be loaded, or its forward pass does not do what a model has to do."""


class TrustError(ModelError):
    """A file is refused because opening it would run code, or reach outside of it."""


class TargetError(XaiError, ValueError):
    """A target names something that the model does not have."""


class LayerError(XaiError, ValueError):
    """A layer does not exist or cannot be used for the method."""


class MethodError(XaiError, ValueError):
    """A method or one of its parameters does not exist or does not apply to the model."""


class MapError(XaiError, ValueError):
    """A map or a mask cannot be judged: it is constant, not finite, or of another shape."""


class MetricError(XaiError, ValueError):
    """A metric or one of its parameters does not exist, or lacks what it judges with."""


class RegionError(XaiError, ValueError):
    """A region is malformed or lies outside the picture."""


class SketchError(XaiError, ValueError):
    """A sketch is malformed, or cannot be read or written."""


class StoreError(XaiError, ValueError):
    """A concept set cannot be read or written, or does not hold what was asked for."""


class StoreConflict(StoreError):
    """Another program changed what was about to be changed; both versions are kept."""


class ConceptError(XaiError, ValueError):
    """A concept, or what it is tested with, cannot be used as it is."""


class DependencyError(XaiError, ImportError):
    """An optional dependency is missing."""


def near_matches(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Suggest what a mistyped name may have meant.

    Parameters
    ----------
    name
        What the user wrote.
    known
        The names that exist.
    limit
        The largest number of suggestions.

    Returns
    -------
    str
        ``" Did you mean 'a' or 'b'?"``, or the first known names where nothing is near.
    """
    names = [str(candidate) for candidate in known]
    by_lower = {candidate.lower(): candidate for candidate in reversed(names)}
    close = get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.5)
    if not close:
        close = [lower for lower in by_lower if name and name.lower() in lower][:limit]
    if close:
        return f" Did you mean {' or '.join(repr(by_lower[lower]) for lower in close)}?"
    if not names:
        return ""
    shown = ", ".join(repr(candidate) for candidate in names[:8])
    return f" Known: {shown}{', ...' if len(names) > 8 else ''}."


@contextmanager
def sentence(error_type: type[XaiError], what: str) -> Iterator[None]:
    """Turn a framework's exception into one sentence, keeping the original as its cause."""
    try:
        yield
    except XaiError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise error_type(f"{what}: {reason[:400]}") from error
