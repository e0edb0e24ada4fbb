"""``python -m aga``: the same as the ``aga`` command."""

from __future__ import annotations

import sys

from aga.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
