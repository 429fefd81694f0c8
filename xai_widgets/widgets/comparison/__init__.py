"""The comparison: twin of js/src/widgets/comparison."""
