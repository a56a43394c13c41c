"""What clips a network can take, and the words for those it cannot."""

from dataclasses import dataclass

from echossl.errors import UserError


@dataclass(frozen=True)
class ClipLimits:
    """The clips a network can take: whatever is not limited here may be anything from 1 upwards.

    Attributes:
        least_frames: fewest frames.
        least_pixels: smallest height and width.
        frames_multiple: the number of frames has to be a multiple of this.
        most_frames: most frames; None sets no limit.
    """

    least_frames: int = 1
    least_pixels: int = 1
    frames_multiple: int = 1
    most_frames: int | None = None

    def nearest_frames(self, num_frames: int) -> int:
        """The number of frames closest to ``num_frames`` that the network can take."""
        multiples = max(1, round(num_frames / self.frames_multiple))
        least = -(-self.least_frames // self.frames_multiple)  # rounded up
        nearest = self.frames_multiple * max(multiples, least)
        return nearest if self.most_frames is None else min(nearest, self.most_frames)

    def require(self, name: str, num_frames: int, height: int, width: int) -> None:
        """Refuse clips that the network cannot take.

        Raises:
            UserError: with the nearest clip that works.
        """
        nearest = (
            self.nearest_frames(num_frames),
            max(height, self.least_pixels),
            max(width, self.least_pixels),
        )
        if nearest == (num_frames, height, width):
            return
        raise UserError(
            f"encoder {name}: found clips of {num_frames} frames of {height} x {width} pixels, expected "
            f"{self._rule()}; the nearest that works is {nearest[0]} frames of {nearest[1]} x {nearest[2]}: "
            "change clip.num_frames or the size of the clip store"
        )

    def _rule(self) -> str:
        rules = []
        if self.frames_multiple > 1:
            rules.append(f"a multiple of {self.frames_multiple} frames")
        if self.least_frames > 1:
            rules.append(f"at least {self.least_frames} frames")
        if self.most_frames is not None:
            rules.append(f"at most {self.most_frames} frame(s)")
        if self.least_pixels > 1:
            rules.append(f"at least {self.least_pixels} x {self.least_pixels} pixels")
        return " and ".join(rules)
