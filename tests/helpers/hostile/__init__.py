"""Hostile and damaged things, each a named kind, and what the zoo has to do about it.

A kind is a function that gets an empty folder to work in, tries it, and says what fell; nothing if
the zoo held. The tests take them one by one, ``benchmarks/trust/count.py`` counts them.
"""
