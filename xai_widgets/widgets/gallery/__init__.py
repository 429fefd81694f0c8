"""The feature gallery: twin of js/src/widgets/gallery."""
