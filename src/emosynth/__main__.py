"""``python -m emosynth``."""

import sys

from emosynth.cli import main

sys.exit(main())
