"""Models shared by several steps: classifiers, encoders and language models."""
