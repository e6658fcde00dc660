"""Step 00: labelled real text with fixed splits, cleaned, checked and described."""

from emosynth.corpora.build import Built, Corpus, build_corpora, describe, load_corpus

__all__ = ["Built", "Corpus", "build_corpora", "describe", "load_corpus"]
