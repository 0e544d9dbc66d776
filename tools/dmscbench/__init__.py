"""The benchmarks of DMSC, one command for all (see tools/bench and docs/operations.md)."""
