"""Checks: verdicts that an accepted row must pass. One file each; see `emosynth.checks.base`."""
