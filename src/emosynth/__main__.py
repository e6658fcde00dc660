"""``python -m emosynth``."""

import sys

try:  # what it imports takes a second, in which it may be stopped too
    from emosynth.cli import main

    status = main()
except KeyboardInterrupt:
    print("stopped; what was written before is whole", file=sys.stderr)
    status = 130
sys.exit(status)
