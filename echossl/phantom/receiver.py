"""The receiver: pulse blur, standing haze, noise, and the way from echo power to grey."""

import numpy as np
from numpy.typing import NDArray

from echossl.phantom.makers import MAKERS, Maker
from echossl.phantom.scanner import Fan, blur_matrix

Array = NDArray[np.float32]
Complex = NDArray[np.complex64]

# a level of -BLACK_DB is black, RANGE_DB above it is white
BLACK_DB, RANGE_DB = 43.0, 49.5
NOISE_DB = -41.5


class Receiver:
    """The settings of one video's scanner, worked out once."""

    def __init__(
        self,
        fan: Fan,
        nuisances: dict[str, float],
        most_frames: int,
        generator: np.random.Generator,
        maker: Maker = MAKERS["phantom"],
    ) -> None:
        self.fan, self.generator, self.grey_exponent = fan, generator, np.float32(maker.grey_exponent)
        self.depths, self.angles = fan.x_cm.shape
        # the blur is a length in the body: more samples in a larger picture
        scale = fan.inside.shape[0] / 112 * maker.speckle
        self.axial = blur_matrix(self.depths, 1.1 * scale)
        self.lateral = blur_matrix(self.angles, float(1.5 * scale * np.exp(0.15 * nuisances["lateral_blur"])))
        self.haze = self._haze(nuisances["haze"])
        self.gain_db, self.grey_per_db = self._compression(nuisances)
        # a stretch of one long noise, at a random place for every block, is quicker than new noise
        self.noise = generator.standard_normal(fan.x_cm.size * most_frames * 3, dtype=np.float32)
        self.noise *= np.float32(10 ** ((NOISE_DB + 3 * nuisances["noise"]) / 20))

    def _haze(self, nuisance: float) -> Complex:
        """Reverberation that stands still over the heart, strongest near the probe; (depths, angles, 1)."""
        grain = self.generator.standard_normal((2, *self.fan.x_cm.shape), dtype=np.float32)
        level_db = -38.5 + 2.5 * nuisance + 12 * np.exp(-self.fan.depth_cm / 2.0)
        grain *= np.power(np.float32(10), level_db / 20)[:, None]
        haze: Complex = (grain[0] + 1j * grain[1])[..., None].astype(np.complex64)
        return haze

    def _compression(self, z: dict[str, float]) -> tuple[Array, np.float32]:
        """Added level (angles * depths, 1) in dB, and grey values per dB."""
        depth = (self.fan.depth_cm - self.fan.depth_cm[0]) / np.ptp(self.fan.depth_cm)
        gain = BLACK_DB + 3.2 * z["gain"] + 3 * z["time_gain"] * (depth - 0.5)
        beam = np.linspace(-1, 1, self.angles, dtype=np.float32)[:, None]
        loss = 6 * abs(z["dropout_depth"]) * np.exp(-(((beam - 0.8 * z["dropout_angle"]) / 0.12) ** 2))
        level = (gain - loss).astype(np.float32).reshape(-1, 1)
        return level, np.float32(255 / (RANGE_DB + 4 * z["dynamic_range"]))

    def to_grey(self, field: Complex) -> Array:
        """Blur, add noise, take the envelope, compress: (angles * depths, frames) grey values 0 to 255."""
        frames = field.shape[-1]
        field += self.haze
        echo = self.axial @ field.view(np.float32).reshape(self.depths, -1)
        by_beam = echo.reshape(self.depths, self.angles, 2 * frames).transpose(1, 0, 2)
        parts: Array = self.lateral @ np.ascontiguousarray(by_beam).reshape(self.angles, -1)
        start = int(self.generator.integers(0, self.noise.size - parts.size))
        parts += self.noise[start : start + parts.size].reshape(parts.shape)
        parts *= parts
        power = parts.reshape(-1, frames, 2)
        grey: Array = power[..., 0] + power[..., 1]
        grey += np.float32(1e-9)
        np.log(grey, out=grey)
        grey *= np.float32(10 / np.log(10))
        grey += self.gain_db
        grey *= self.grey_per_db
        np.clip(grey, 0, 254.4, out=grey)
        if self.grey_exponent != 1:
            grey *= np.float32(1 / 254.4)
            np.power(grey, self.grey_exponent, out=grey)
            grey *= np.float32(254.4)
        return grey
