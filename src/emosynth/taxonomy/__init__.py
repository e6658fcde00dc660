"""Emotion taxonomies as data: their labels in words, the maps between them, and what to do with labels outside them.

The data and the source of every map are in ``data/taxonomies.yaml``.
"""

from emosynth.taxonomy.maps import Taxonomies, Taxonomy
from emosynth.taxonomy.resolver import Resolution, Resolver
from emosynth.taxonomy.words import simplify

__all__ = ["Resolution", "Resolver", "Taxonomies", "Taxonomy", "simplify"]
