"""`python -m eddyline.cli`, for machines where the script is not on the path."""

import sys

from eddyline.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
