"""The long runs, one command for all (see tools/soak and docs/operations.md)."""
