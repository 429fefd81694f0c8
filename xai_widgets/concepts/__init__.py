"""Concept sets on disk, activation vectors, and what they say about a model."""
