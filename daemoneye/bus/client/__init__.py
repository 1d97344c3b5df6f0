"""The client's side of the bus: what programs publish, subscribe and ask with.

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    link           the client's side of the protocol, between bytes and what they mean
    sequences      what was lost with a connection, from the numbers of messages
    outgoing       what a client publishes, on its way into frames

Shells (!): they touch the world and decide nothing.

    bus_client     BusClient, for programs with threads
    subscriber     a subscription as its user iterates over it
    connection     one client's connection, over any number of sockets
    reader         whoever waits reads, for all who wait
    writer         one way out for all threads
    turn           whose turn it is in there, and what a signal handler wants meanwhile
    dialler        from an address and a key to a connection both sides believe in

This file imports nothing, so that who needs one name does not load the rest.
"""
