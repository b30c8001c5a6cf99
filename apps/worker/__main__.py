"""Entry point of ``python -m apps.worker``."""

import logging
import sys

from resources.settings import load_settings, quiet_math_threads


def main() -> int:
    """Work until told to stop."""
    quiet_math_threads()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    settings = load_settings()
    from apps.resting import load_engine

    load_engine(settings)
    from apps.worker.service import Worker

    Worker(settings).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
