"""`python -m cosyd.cli`: the same as `cosy`."""

from __future__ import annotations

import sys

from cosyd.cli import main

sys.exit(main())
