"""An example of a plugin package for Tocsin."""
