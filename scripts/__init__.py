"""Tools for working on xai_widgets; none is part of the package."""
