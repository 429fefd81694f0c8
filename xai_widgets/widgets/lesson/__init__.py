"""The lesson canvas; its pulse is the twin of js/src/widgets/pulse."""
