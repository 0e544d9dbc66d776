"""The test command: sections, results, the closing line. Run by tools/test."""
