"""Tests of the rules; a package, so that they can share `rules.streams`."""
