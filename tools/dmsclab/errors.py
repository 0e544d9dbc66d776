"""What goes wrong in the lab, in words for the person who runs it."""
from __future__ import annotations


class LabError(Exception):
    """Names the thing and the place; the command line prints it and exits 1."""
