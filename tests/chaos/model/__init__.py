"""The protocol as a small machine, explored in every state it can reach: `python -m tests.chaos.model`.

Two tables (child references parent), two keys, two partitions of the parent and one of the child, two
consumers, a producer that dies and resumes, a source that changes in between. Decisions are made by the
product's own pure code (the control topic's reducer, the gate, the fate of a table at a resume, what
prune holds back, the next instant); what is SQL or Kafka in the product is written out here, a
transaction a step.

A consumer judges by the progress as it saw it at some earlier moment, a frozen one writes late. Time is
left out: whatever may happen at all may happen next. The producer sees nothing of the consumers, so every
log that it may leave is made first, and consumers read any beginning of it: that loses no course of events.
"""
