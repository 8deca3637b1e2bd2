"""The scenarios, one module a subject; ../scenarios.py runs them."""
