"""The Synthetic Emotion Compendium."""
