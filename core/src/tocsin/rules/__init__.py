"""Declarative detection: rulesets, their compilation, and the engine that runs them."""
