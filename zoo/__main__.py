"""``python -m zoo``, as torchrun starts it."""

from zoo.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
