"""The bus: topics, rights, and the broker that carries events between processes.

An event on its way from one client to another passes

    client ! → outgoing · → endpoint ! → broker ! → router · → session · → outbox · → broker !
    → endpoint ! → link · → envelope · → client !

Rules (·): no I/O, no threads, no clock; `now` is an argument, decisions come back as values.

    topics         topics and filters: validate, matches, covers, intersection
    hierarchy      the declared topics and their payload messages
    subscriptions  the tree: who wants this topic
    access         identities, rules, decisions and their reasons
    roles          the built-in roles: which rights a name stands for
    limits         every number the bus keeps to, in one value
    envelope       an event as its subscriber sees it, a payload as its publisher gives it
    kinds          every kind of frame, as a value
    frames         frames ↔ bytes; with codecs and orders the only importer of frames_pb2
    codecs         every kind of frame but publishes: encoding beside decoding
    orders         what the supervisor orders of the broker
    streams        subscriptions, and the bounded queues of what waits for them
    outbox         what waits for one client, in lanes
    session        one client as the broker knows it: subscriptions, credit, outbox, losses
    routes         where a publisher's topic leads, remembered
    directory      who is connected, who wants what, and who may
    answers        what the broker answers to questions
    router         frames in → deliveries out; owns what the broker knows
    handshake      both sides of proving who one is
    outgoing       what a client publishes, on its way into frames
    link           the client's side of the protocol

Shells (!): they touch the world and decide nothing.

    endpoint       listening and dialling made safe
    reader         whichever thread waits reads for all the others
    broker         the broker process: read, ask the router, write
    client         BusClient, for programs with threads

`proto/` holds the schemas and what is generated from them.  This file imports nothing, so that a
command that needs one rule does not load the rest.
"""
