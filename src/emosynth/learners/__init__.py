"""Learners: what is trained on an arm's rows and scored on real text. One file each; see `emosynth.learners.base`."""
