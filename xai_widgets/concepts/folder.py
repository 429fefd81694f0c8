"""A store's folder in use: one program writes at a time, and on nothing that it has not read."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xai_widgets.concepts import conflicts
from xai_widgets.concepts.atomic import Change, locked, make_folder, recover, write_file
from xai_widgets.concepts.catalogue import Catalogue, differences, read_folder
from xai_widgets.concepts.layout import INDEX, LOCK, STAGING, check_folder
from xai_widgets.concepts.records import Removal
from xai_widgets.errors import StoreError

Plan = Callable[[Catalogue, Change], set[str]]
RemovalPlan = Callable[[Catalogue, Change], tuple[set[str], Removal]]


class Folder:
    """What was last read of a store's folder, and the only way to change it.

    Parameters
    ----------
    root
        The folder; made if it is not there.

    Raises
    ------
    StoreError
        If it is something else, or cannot be made or read.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.revision = 0
        self._guard = threading.RLock()
        check_folder(root)
        try:
            make_folder(root)
        except OSError as error:
            raise StoreError(
                f"The folder {str(root)!r} cannot be made: {error.strerror or error}."
            ) from error
        with self.alone(to_write=False) as may_write:
            self.catalogue = read_folder(root)
            if may_write and INDEX not in self.catalogue.stamps:
                if not os.path.lexists(root / ".gitignore"):
                    write_file(root / ".gitignore", f"{LOCK}\n{STAGING}/\n".encode())
                change = Change()
                change.write(INDEX, self.catalogue.index_bytes(self.catalogue.headings))
                change.commit(root)
                self.catalogue = read_folder(root)

    def refresh(self) -> bool:
        """Read again what has changed; say whether anything had."""
        with self.alone(to_write=False):
            return self._take_over(read_folder(self.root, self.catalogue))

    def carry_out(self, plan: Plan) -> None:
        """Carry out an edit on what the folder holds now; on return it is on disk.

        Raises
        ------
        StoreConflict
            If it rests on what another program has changed since it was read; the edit is kept
            beside.
        StoreError
            If it makes no sense, or the disk refuses.
        """
        with self.alone(to_write=True):
            seen, change = self.catalogue, Change()
            touched = plan(seen, change)
            now = read_folder(self.root, seen)
            if now is not seen:
                if touched & differences(seen, now):
                    raise conflicts.keep(self.root, seen, now, change)
                change = Change()
                plan(now, change)
            if INDEX in change.writes and now.index_damaged:
                conflicts.keep_index(self.root)
            change.commit(self.root)
            self._take_over(read_folder(self.root, now))

    def take_away(self, plan: RemovalPlan) -> Removal:
        """Carry out a removal and return what restores it."""
        removals: list[Removal] = []

        def with_removal(catalogue: Catalogue, change: Change) -> set[str]:
            touched, removal = plan(catalogue, change)
            removals.append(removal)
            return touched

        self.carry_out(with_removal)
        return removals[-1]

    def _take_over(self, catalogue: Catalogue) -> bool:
        if catalogue is self.catalogue:
            return False
        self.catalogue = catalogue
        self.revision += 1
        return True

    @contextmanager
    def alone(self, to_write: bool) -> Iterator[bool]:
        """Keep other threads and programs out, and finish what a killed one has left.

        Yields whether the folder can be written to.
        """
        with self._guard, locked(self.root) as may_write:
            if may_write:
                recover(self.root)
            elif to_write:
                gone = "is gone" if not self.root.is_dir() else "allows no writing"
                raise StoreError(f"Nothing was saved: the folder {str(self.root)!r} {gone}.")
            yield may_write
