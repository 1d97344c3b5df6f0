"""The bus: topics, rights, and the broker that carries events between processes.

A published frame passes these modules in this order:

    client ! → link · → endpoint ! → broker ! → router · → session · → broker ! → link · → client !

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    topics         topics and filters: validate, matches, covers, intersection
    hierarchy      the declared topics and their payload messages
    subscriptions  the tree: who wants this topic
    access         identities, roles, rules, decisions and their reasons
    limits         every number the bus keeps to, with its default
    frames         what travels ↔ protobuf bytes; the only importer of proto/
    session        one client as the broker knows it: subscriptions, credit, outbox, losses
    router         frames in → deliveries out; owns what the broker knows
    handshake      both sides of proving who one is
    link           the client's side of the protocol

Shells (!): they touch the world and decide nothing.

    endpoint       listening and dialling made safe
    broker         the broker process: read, ask the router, write
    client         BusClient, for programs with threads

`proto/` holds the schemas and what is generated from them.  This file imports nothing, so that a
command that needs one rule does not load the rest.
"""
