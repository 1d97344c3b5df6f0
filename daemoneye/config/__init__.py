"""Configuration: files and environment in, a validated plan out.

    problems.py   ·  complaints, each with its place, and the error that carries them all
    tree.py       ·  what was written down, merged: values, and their places
    lines.py      ·  on which line each key of a document stands
    kinds.py      ·  what a value may be, and how it is read
    schema.py     ·  the table of every key, with kinds and defaults
    sources.py    !  the files and variables that count, merged; light, `status` uses it
    probe.py      !  an interpreter of its own that imports what a configuration names
    collectors.py !  child specs for collectors, built in or of the user
    plan.py       !  from sources to a plan

The only package that knows both the supervisor and the collectors.  Import its modules by name:
this file stays empty, because `sources` has to be cheap to import.
"""
