"""The sketch pad: twin of js/src/widgets/sketch."""
