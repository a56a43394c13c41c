"""3-D convolution that is right in bfloat16 on CPUs too."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv3d(nn.Conv3d):
    """``nn.Conv3d`` without faults of oneDNN, most of its weight gradient (oneDNN 3.11, PyTorch 2.12).

    Seen on processors with AVX-512 BF16, where the kernel in use is ``jit_bf16:avx512_core_bf16``:

    - Two frames and padding in time: the gradient is made of memory that was never written. Padding with
      black frames beforehand is the same convolution and is computed correctly.
    - A single row or column and a stride: it writes beyond its buffer. float32 is correct.

    - A kernel of five or more over a clip that is hardly longer or wider than it: both of the above, and with
      a stride and channels-last also in float32. Padding beforehand is correct.

    - One frame, a kernel of five or more in space and padding in time, in bfloat16 and channels-last: what
      comes out is memory that was never written. Of the kernel only the middle meets the frame; convolving
      with that alone is the same and is computed correctly.

    None costs anything for clips of other shapes.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name that PyTorch gives it
        """(batch, channels_in, frames, height, width) → (batch, channels_out, frames', height', width')."""
        if input.device.type != "cpu":
            return super().forward(input)
        num_frames, height, width = input.shape[2:]
        if num_frames == 1 and self._meets_one_frame_in_bfloat16(input):
            return self._with_the_middle(input)
        if self._is_hardly_longer(input.shape[2:]):
            return self._with_black_borders(input)
        if 1 in {height, width}:
            with torch.autocast("cpu", enabled=False):
                return super().forward(input.float())
        if num_frames == 2 and self.stride[0] == 1:
            return self._with_black_frames(input)
        return super().forward(input)

    def _is_hardly_longer(self, lengths: torch.Size) -> bool:
        """Whether a kernel of five or more takes up nearly all of an axis."""
        axes = zip(lengths, self.kernel_size, self.stride, strict=True)
        return any(kernel >= 5 and length <= kernel + stride for length, kernel, stride in axes)

    def _meets_one_frame_in_bfloat16(self, clips: Tensor) -> bool:
        """Whether one frame lies under the middle of a kernel that is large in space."""
        in_bfloat16 = torch.bfloat16 in {
            clips.dtype,
            torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else clips.dtype,
        }
        padding, length = self.padding[0], self.kernel_size[0]
        is_plain = self.dilation == (1, 1, 1) and length == 2 * int(padding) + 1 > 1
        return in_bfloat16 and is_plain and max(self.kernel_size[1:]) >= 5

    def _with_the_middle(self, clips: Tensor) -> Tensor:
        frames, rows, columns = (int(amount) for amount in self.padding)
        middle = self.weight[:, :, frames : frames + 1]
        # beforehand, as the frame may be hardly longer than the kernel
        padded = F.pad(clips, (columns, columns, rows, rows))
        return F.conv3d(padded, middle, self.bias, self.stride, 0, 1, self.groups)

    def _with_black_borders(self, clips: Tensor) -> Tensor:
        frames, rows, columns = (int(amount) for amount in self.padding)
        padded = F.pad(clips, (columns, columns, rows, rows, frames, frames))
        return F.conv3d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)

    def _with_black_frames(self, clips: Tensor) -> Tensor:
        frames, rows, columns = (int(amount) for amount in self.padding)
        padded = F.pad(clips, (0, 0, 0, 0, frames, frames))
        return F.conv3d(
            padded, self.weight, self.bias, self.stride, (0, rows, columns), self.dilation, self.groups
        )


def use_own_convolutions(network: nn.Module) -> None:
    """Turn every ``nn.Conv3d`` inside a network of another package into :class:`Conv3d`, in place.

    Weights and names stay as they are. Subclasses are replaced too unless they compute something else.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d) and type(layer).forward is nn.Conv3d.forward:
            # the two classes differ in forward alone, so the layer keeps its weights, hooks and place
            layer.__class__ = Conv3d


def take_grey(layer: nn.Conv3d | nn.Conv2d) -> None:
    """Make a first convolution take one channel, in place, by summing its weights over its channels.

    What comes out for a grey picture is what came out for the same picture in all channels.
    """
    layer.weight = nn.Parameter(layer.weight.detach().sum(dim=1, keepdim=True))
    layer.in_channels = 1
