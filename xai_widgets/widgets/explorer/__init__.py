"""The Explorer: twin of js/src/widgets/explorer."""
