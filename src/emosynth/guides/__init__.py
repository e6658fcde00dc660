"""Guides: what a prompt shows besides the class. One file each; see `emosynth.guides.base`."""
