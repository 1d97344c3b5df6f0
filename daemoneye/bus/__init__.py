"""The bus: topics, rights, and the broker that carries events between processes.

    broker/   the broker's side: who is connected, who wants what, what waits for whom
    client/   the client's side: `BusClient`, and the pure link it stands on
    proto/    the schemas, and what is generated from them

They do not know each other; what both have to agree on stands here.  An event on its way from one
client to another passes

    client ! → outgoing · → writer ! → broker ! → router · → outbox · → broker ! → reader !
    → link · → envelope · → client !

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    arguments      what a caller gave, and the words to refuse it in
    topics         topics and filters: validate, matches, covers, intersection
    hierarchy      the declared topics and their payload messages
    subscriptions  the tree: who wants this topic
    roles          the built-in roles: which rights a name stands for
    access         identities, rules, decisions and their reasons
    limits         every number the bus promises to stay under
    demands        what a plan, and one limit, demand of the limits

    envelope       an event as its subscriber sees it, a payload as its publisher gives it
    terms          how something is wanted done, as several kinds of frame say it
    kinds          every kind of frame, as a value
    frames         frames ↔ protobuf bytes
    publishes      of publishes: encoding beside decoding, and the broker's stamp
    codecs         of every kind but publishes: encoding beside decoding
    arrivals       what comes ahead of the frame that owns it: descriptors, chunks
    orders         what the supervisor orders the broker to do ↔ protobuf bytes
    handshake      both sides of proving who one is
    vigil          who has fallen silent, on either side

Shells (!): they touch the world and decide nothing.

    endpoint       listening and dialling made safe
    pipes          the same over named pipes, where there are no sockets
    memory         large payloads as memory that is passed by descriptor

This file imports nothing, so that a command that needs one rule does not load the rest.
"""
