"""`python -m voxcli` is `vox`."""

from __future__ import annotations

import sys

from voxcli.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
