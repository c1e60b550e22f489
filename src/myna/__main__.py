"""``python -m myna``."""

from myna.cli import main

if __name__ == "__main__":
    main()
