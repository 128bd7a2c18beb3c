"""Transforms: Graph -> Graph, a file each."""
