"""`ConceptStore`: concept sets in a folder, with their vectors, and in other programs' formats."""

from pathlib import Path

from xai_widgets.concepts.atomic import Change
from xai_widgets.concepts.examples import ExampleStore
from xai_widgets.concepts.layout import SLUG, VECTORS, read_bytes
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

        A later test of the same model with the same classifier and details takes its place.

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
        folder = self.folder / VECTORS
        files = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
        for path in files:
            if path.suffix != SUFFIX or not SLUG.fullmatch(path.stem):
                continue
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
