"""`ConceptStore`: concept sets in a folder, with their vectors, and in other programs' formats."""

from pathlib import Path
from typing import Any

from xai_widgets.concepts.atomic import Change
from xai_widgets.concepts.examples import ExampleStore
from xai_widgets.concepts.formats import coco, folders, label_studio
from xai_widgets.concepts.layout import SLUG, VECTORS, read_bytes
from xai_widgets.concepts.records import Transfer
from xai_widgets.concepts.vectors import MAX_BYTES, Vectors, from_bytes
from xai_widgets.errors import StoreError

SUFFIX = ".safetensors"


class ConceptStore(ExampleStore):
    """A folder of concepts: examples as pictures and W3C annotations, vectors as safetensors.

    A person can read the folder and put it under version control; docs/concepts.md describes it.
    Every method that changes something returns when the change is on disk, and a program killed
    at any moment leaves the folder either as before or as after. Several programs may use one
    folder: changes of different examples go together, and a change of what another program has
    changed in the meantime is a `StoreConflict`, with both versions kept.

    Parameters
    ----------
    folder
        Is made if it is not there.
    author
        Written into annotations; the name of the user by default.

    Raises
    ------
    StoreError
        If the folder is something else, or cannot be read.
    """

    def __init__(self, folder: str | Path, author: str | None = None) -> None:
        super().__init__(folder, author)
        self._damaged_vectors: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for every file that is damaged or was left out."""
        return (*super().problems, *self._damaged_vectors)

    def save_vectors(self, vectors: Vectors) -> Path:
        """Keep what a test has trained and found; on return it is on disk.

        A later test of the same model with the same settings takes its place: files of earlier
        ones, whatever they are called, are deleted.

        Returns
        -------
        Path
            The safetensors file.

        Raises
        ------
        StoreError
            If a vector is not finite, or the disk refuses.
        """
        path = f"{VECTORS}/{vectors.file_stem}{SUFFIX}"
        change = Change()
        change.write(path, vectors.to_bytes())
        with self._files.alone(to_write=True):
            for file in self._vector_files():
                if file != self.folder / path and _is_of(file, vectors.file_stem):
                    change.delete(f"{VECTORS}/{file.name}")
            change.commit(self.folder)
        return self.folder / path

    def vectors(
        self, model_hash: str | None = None, data_hash: str | None = None
    ) -> tuple[Vectors, ...]:
        """Return what earlier tests have trained and found, the newest first.

        Parameters
        ----------
        model_hash
            Only those of this model: vectors mean nothing to another.
        data_hash
            Only those that were trained with this data; see `data_hash`.
        """
        found, damaged = [], []
        for path in self._vector_files():
            try:
                found.append(from_bytes(read_bytes(path, MAX_BYTES), f"'{VECTORS}/{path.name}'"))
            except StoreError as error:
                damaged.append(str(error))
        self._damaged_vectors = tuple(damaged)
        wanted = [
            vectors
            for vectors in found
            if model_hash in (None, vectors.model_hash) and data_hash in (None, vectors.data_hash)
        ]
        return tuple(sorted(wanted, key=lambda vectors: vectors.created, reverse=True))

    def _vector_files(self) -> list[Path]:
        folder = self.folder / VECTORS
        files = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
        return [path for path in files if path.suffix == SUFFIX and SLUG.fullmatch(path.stem)]

    # Other programs' formats

    def import_coco(self, source: str | Path | dict[str, Any], images: Any) -> Transfer:
        """Add the boxes, polygons and masks of a COCO file.

        Parameters
        ----------
        source
            The file, or its content.
        images
            The pictures that it is about, found by their file names: a folder, a dict
            {name: image}, or whatever `ImageSet` takes.

        Returns
        -------
        Transfer
            The new examples, and a sentence for everything that was left out. Examples that are
            in the store already are not added again.

        Raises
        ------
        StoreError
            If it is no COCO file at all.
        """
        return coco.read(self, source, images)

    def export_coco(self, path: str | Path) -> Transfer:
        """Write the examples as a COCO file; the answer says what it has no place for."""
        return coco.write(self, path)

    def import_label_studio(self, source: str | Path | list[Any], images: Any) -> Transfer:
        """Add the rectangles, polygons, brushes and choices of a Label Studio export.

        Parameters
        ----------
        source
            The JSON file, or its content.
        images
            The pictures that it is about, as for `import_coco`; none is fetched.
        """
        return label_studio.read(self, source, images)

    def export_label_studio(self, path: str | Path) -> Transfer:
        """Write the included examples as tasks for Label Studio."""
        return label_studio.write(self, path)

    def import_folder(self, path: str | Path) -> Transfer:
        """Add a folder of pictures that holds a folder for each concept."""
        return folders.read(self, path)

    def export_folder(self, path: str | Path) -> Transfer:
        """Write the crops of the included examples into a new folder."""
        return folders.write(self, path)


def _is_of(path: Path, stem: str) -> bool:
    """Say whether a file of vectors would be called like this now; a damaged one stays."""
    try:
        return from_bytes(read_bytes(path, MAX_BYTES), path.name).file_stem == stem
    except StoreError:
        return False
