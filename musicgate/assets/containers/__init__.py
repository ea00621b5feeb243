"""Readers of audio containers, one module each. They measure, and decode nothing.

A header is only a claim. A reader returns what the body holds: frames, packets and samples whose bytes are
present. Paid audio is not discarded because a streaming encoder could not know its length in advance: a file
is refused as cut only if it ends inside a frame, packet or box and its header plausibly states that more was
meant to follow. Start with `steps`, which bounds the work.
"""
