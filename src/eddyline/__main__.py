"""`python -m eddyline`: the command line, where the `eddyline` script is not on the path."""

import sys

from eddyline.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
