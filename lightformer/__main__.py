"""`python -m lightformer`, the same as the command `lightformer`."""

import sys

from lightformer.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
