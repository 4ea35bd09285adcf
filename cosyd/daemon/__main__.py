"""`python -m cosyd.daemon`."""

import sys

from cosyd.daemon.main import main

sys.exit(main())
