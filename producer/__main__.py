"""`python -m producer` is the program `producer`."""

from producer.cli import main

if __name__ == "__main__":
    main()
