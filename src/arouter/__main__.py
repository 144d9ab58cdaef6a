"""`python -m arouter`, and the entry point of the `arouter` command."""

from arouter.cli import main

if __name__ == "__main__":
    main()
