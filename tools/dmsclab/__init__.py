"""The DMSC lab: a domain of real daemons in network namespaces (see tools/lab and docs/operations.md)."""
