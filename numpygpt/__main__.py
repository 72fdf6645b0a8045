"""`python -m numpygpt` is the `numpygpt` command."""

import sys

from numpygpt.cli import main

sys.exit(main())
