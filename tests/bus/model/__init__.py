"""The bus against a model of each of its promises, by random steps.

`world` is the real router with clients in memory, and `seats` who they are.  What has to hold is
said in a few lines each: `accounts`, `copies`, `groups`, `travels`, `values`, `last_words`,
`calls`, about what `reach` finds.  On one `ground`, `steps` are what happens every day, `working`
what groups do, `travelling` what happens to connections, `retaining` what is kept for who
subscribes later, `leaving` what is said for who ended, `calling` what somebody is asked to do, and
`machine` takes all of them; `python -m tests.bus.model` takes many.
"""
