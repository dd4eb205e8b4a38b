"""Turns lines of text into events: the ready patterns and those that settings describe."""

from tocsin_logs.patterns.ready import READY, ReadyPattern, line_patterns, pattern_of

__all__ = ["READY", "ReadyPattern", "line_patterns", "pattern_of"]
