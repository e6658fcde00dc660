"""Labellers: what a written row is labelled with. One file each; see `emosynth.labellers.base`."""
