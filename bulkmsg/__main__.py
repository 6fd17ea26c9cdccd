"""`python -m bulkmsg`: the same command as `bulkmsg`."""

from bulkmsg.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
