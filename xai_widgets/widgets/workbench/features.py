"""What a concept's vector looks for: a feature gallery below the workbench that it is sent to."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xai_widgets.errors import ConceptError, XaiError, near_matches
from xai_widgets.widgets.companions import Companions
from xai_widgets.widgets.workbench.state import shown_layer

if TYPE_CHECKING:
    from xai_widgets.widgets.gallery.gallery import FeatureGallery
    from xai_widgets.widgets.workbench.workbench import ConceptWorkbench


class ConceptFeatures(Companions):
    """Opens a gallery below a workbench, and sends it concept vectors.

    Parameters
    ----------
    workbench
        Whose vectors they are.
    tell
        Sends the payload of an `opened` message.
    """

    def __init__(
        self, workbench: "ConceptWorkbench", tell: Callable[[dict[str, Any]], None]
    ) -> None:
        self._workbench = workbench
        super().__init__(lambda: workbench.model, {"features": self._gallery}, tell)

    def _gallery(self) -> "FeatureGallery":
        from xai_widgets.widgets.gallery.gallery import FeatureGallery

        workbench = self._workbench
        layer, objective, name = self._asked
        return FeatureGallery(
            workbench.model, workbench.images, objective={name: objective}, layer=layer
        )

    def send(self, concept: str | None = None) -> "FeatureGallery":
        """Show a concept's picture in the gallery below, which is opened if it is not.

        Parameters
        ----------
        concept
            Its name; None for the one that is shown.

        Raises
        ------
        ConceptError
            If it has no vector yet.
        """
        from xai_widgets.widgets.gallery.gallery import FeatureGallery

        self._asked = self._vector(concept)
        _, objective, name = self._asked
        already = "features" in self._tools
        gallery = self.open("features")
        assert isinstance(gallery, FeatureGallery)
        if already:
            gallery.add(objective, name)
            self._tell(self.payload())  # the browser then shows it
        return gallery

    def ask(self, name: str, wanted: bool) -> None:
        """Send the concept on screen, or close the gallery; an error is told in the browser."""
        if name != "features" or not wanted:
            super().ask(name, wanted)
            return
        try:
            self.send()
        except XaiError as error:
            self.refuse(name, error)

    def _vector(self, concept: str | None) -> tuple[str, Any, str]:
        """Return the layer, the objective and the name of a concept that was tested."""
        from xai_widgets.features.objectives import direction

        workbench = self._workbench
        names = [each.name for each in workbench.store.concepts if each.role == "concept"]
        shown = concept or workbench.concept or next(iter(names), None)
        if shown is None:
            raise ConceptError("There is no concept yet: mark some examples of one.")
        if shown not in names:
            raise ConceptError(f"There is no concept {shown!r}.{near_matches(shown, names)}")
        vectors = workbench.vectors_found
        tested = [layer for name, layer in vectors if name == shown]
        layer = shown_layer(workbench.model, tested, workbench.layer)
        if layer is None or (shown, layer) not in vectors:
            where = f" at {layer}" if layer is not None and tested else ""
            raise ConceptError(
                f"“{shown}” has no vector{where} yet: press Test, which trains one for each "
                "concept that can be told from random pictures."
            )
        return layer, direction(layer, vectors[shown, layer], name=shown), f"{shown} in {layer}"
