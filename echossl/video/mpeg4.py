"""What kind of picture an MPEG-4 part 2 packet holds, told by its first bytes (ISO/IEC 14496-2, 6.2.5)."""

PICTURE_START = b"\x00\x00\x01\xb6"
TYPES = "IPBS"
# a picture that only says "as before" makes no frame; it is shorter than this, and few others are
SHORTEST_BYTES = 32
# headers and remarks before a picture are shorter than this
MOST_HEAD_BYTES = 1024
# writes two pictures into one packet, and says so in a remark before a picture
PACKER = b"DivX"


def picture_type(packet: memoryview) -> str | None:
    """``"I"``, ``"P"``, ``"B"`` or ``"S"``; None unless the packet surely makes exactly one frame."""
    head = bytes(packet[:MOST_HEAD_BYTES])
    place = head.find(PICTURE_START)
    found = head[place + len(PICTURE_START) :][:1]
    if place < 0 or not found or len(packet) - place < SHORTEST_BYTES or PACKER in head[:place]:
        return None
    return TYPES[found[0] >> 6]
