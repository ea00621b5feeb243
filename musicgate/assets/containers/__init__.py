"""Readers of audio containers, one module each; none decodes, keeps or asks a network.

A container's header is a claim. What a reader answers is what the body holds: frames, packets and samples whose bytes are there. Bytes that
were paid for are not thrown away because a header could not know better, so a file is refused as cut only where it ends inside a
frame, packet or box and its header says, believably, that more was meant to come. Open `steps` first: it bounds the work.
"""
