"""``python -m voucherify_async``: the command ``voucherify-async``."""

import sys

from voucherify_async.cli import main

if __name__ == "__main__":
    sys.exit(main())
