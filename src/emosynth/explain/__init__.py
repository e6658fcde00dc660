"""Step 02: what a classifier fitted on the seed alone says about its words; guides show it to the writer."""

from emosynth.explain.build import TABLES, build_materials, load_materials
from emosynth.explain.ranking import function_word, presentable

__all__ = ["TABLES", "build_materials", "function_word", "load_materials", "presentable"]
