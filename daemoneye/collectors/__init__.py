"""Collectors: what a user writes to observe something, and the process that runs it.

Rules (·): no I/O, no threads, no clock; `now` is an argument.

    collector     what a user subclasses; Event, every(), on()
    schedule      when the next collection is due: no drift, no pile-up
    conduct       what failures in a row lead to; what is counted
    wishes        what is said on the control topics ↔ values
    redaction     secrets in what we publish

Shells (!): they touch the world and decide nothing.

    sides         what the runner asks of its supervisor and of the bus, as protocols
    inbox         what waits for the main thread: orders, events, the end
    work          calls a collector's methods and publishes what they yield
    hearing       a thread that hears what the bus delivers
    conversation  the thread that talks on the control topics
    runner        a collector's process: lifeline, bus, loop, orderly end

`procmond` and `perfmond` are the built-in collectors; each package says its own layers.  This
file imports nothing, so that a collector's process loads only what it runs.
"""
