"""The MD-LSTM layer: multi-dimensional LSTMs over an image, one from each corner.

An image (N, C, H, W) is scanned four times, from the top left, bottom left, top right and bottom
right; a volume slice by slice. Coming from the top left, of the pixel x at row r and column c::

    i, f1, f2, o = sigmoid(W x + U1 h[r-1, c] + U2 h[r, c-1] + b)
    c~           = tanh   (likewise)
    c[r, c]      = i c~ + f1 c[r-1, c] + f2 c[r, c-1]
    h[r, c]      = o tanh(c[r, c])

with zeros outside the image and no peephole connections. The other corners are the same on the
flipped image. The output is the four hidden states, (N, hidden, H, W) each, side by side in the
channels or summed.

A pixel depends on its upper and left neighbors alone, which both lie on the anti-diagonal before
its own. So all pixels of an anti-diagonal are computed together, and the four corners with them:
W x + b for the whole image in one product, then one step for each of the H + W - 1 diagonals.
``MDLSTM.recurrence`` is these steps, line by line as above; for it the image is skewed, row r by
r columns, so that an anti-diagonal becomes a column.

Source: Graves, Schmidhuber: Offline Handwriting Recognition with Multidimensional Recurrent
Neural Networks, NIPS 2008; without peepholes as in the layers of Stollenga et al. 2015.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recompute

_FLIPS: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 2))


class MDLSTM(nn.Module):
    """Four LSTMs over an image, one from each corner, each cell seeing two neighbors.

    For the equations see the module. States are float32 also under autocast. Volumes
    (N, C, D, H, W) are taken slice by slice.

    The parameters are stacked over the corners, top left, bottom left, top right, bottom right,
    and hold the gates in the order i, f1, f2, o, c~: ``weight_x`` (4, in_channels, 5 hidden),
    ``weight_h`` (4, 2 hidden, 5 hidden; rows of U1 first) and ``bias`` (4, 5 hidden).

    Args:
        in_channels: Channels of the input.
        hidden: Channels of the states.
        merge: ``concat`` gives 4 hidden channels, ``sum`` gives ``hidden``.
        checkpoint: Recompute the scan in the backward pass instead of keeping its states.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int,
        merge: Literal["concat", "sum"] = "concat",
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        if in_channels < 1 or hidden < 1:
            raise ValueError(f"in_channels {in_channels} and hidden {hidden} have to be 1 or more")
        if merge not in ("concat", "sum"):
            raise ValueError(f"merge {merge!r}; there are concat, sum")
        self.in_channels = in_channels
        self.hidden = hidden
        self.merge = merge
        self.checkpoint = checkpoint
        self.out_channels = hidden if merge == "sum" else 4 * hidden
        self.weight_x = nn.Parameter(torch.empty(4, in_channels, 5 * hidden))
        self.weight_h = nn.Parameter(torch.empty(4, 2 * hidden, 5 * hidden))
        self.bias = nn.Parameter(torch.empty(4, 5 * hidden))
        self.reset_parameters()

    def recurrence(
        self, gates: Tensor, columns: int, compute: torch.dtype, wide: torch.dtype
    ) -> Tensor:
        """The equations, one anti-diagonal a step, for the four corners together.

        Args:
            gates: W x + b, skewed: (4, N, H, H + W - 1, 5 hidden).
            columns: W.
            compute: The dtype of the products with U1 and U2.
            wide: The dtype of the states.

        Returns:
            The hidden states, skewed likewise: (4, N, H, H + W - 1, hidden).
        """
        batch, rows = gates.shape[1:3]
        u1_u2 = self.weight_h.to(compute)
        outputs = []
        h = gates.new_zeros(4, batch, rows, self.hidden, dtype=wide)
        c = torch.zeros_like(h)
        for diagonal, z in enumerate(gates.unbind(3)):
            # Only rows low..high of a diagonal lie in the image; outside them states are zero.
            low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
            # On the diagonal before, row r - 1 has the pixel above and row r the one to the left.
            h_above, h_left = _above(h, low, high), h[:, :, low:high]
            c_above, c_left = _above(c, low, high), c[:, :, low:high]
            z = z[:, :, low:high].to(wide)
            if diagonal:
                both = torch.cat((h_above, h_left), dim=-1).to(compute)
                z = z + (both.flatten(1, 2) @ u1_u2).view(z.shape)
            i, f1, f2, o, g = z.split(self.hidden, dim=-1)
            c = i.sigmoid() * g.tanh() + f1.sigmoid() * c_above + f2.sigmoid() * c_left
            h = o.sigmoid() * c.tanh()
            c = F.pad(c, (0, 0, low, rows - high))
            h = F.pad(h, (0, 0, low, rows - high))
            outputs.append(h)
        return torch.stack(outputs, dim=3)

    def reset_parameters(self, forget: float = -0.5) -> None:
        """Weights from U within the inverse square root of the inputs, biases 0.

        Args:
            forget: Bias that the two forget gates begin at. Where both together exceed 1, as
                with the bias 1 that is usual in one dimension, cell states grow exponentially
                over an image (Leifert et al., Cells in Multidimensional Recurrent Neural
                Networks, JMLR 17, 2016).
        """
        bound = (self.in_channels + 2 * self.hidden) ** -0.5
        nn.init.uniform_(self.weight_x, -bound, bound)
        nn.init.uniform_(self.weight_h, -bound, bound)
        nn.init.zeros_(self.bias)
        with torch.no_grad():
            self.bias[:, self.hidden : 3 * self.hidden] = forget

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden}, merge={self.merge}"

    def forward(self, x: Tensor) -> Tensor:
        """Scan.

        Args:
            x: (N, in_channels, H, W), or (N, in_channels, D, H, W) taken slice by slice.

        Returns:
            The same with ``out_channels`` channels.
        """
        if x.ndim not in (4, 5) or x.shape[1] != self.in_channels:
            raise ValueError(
                f"the input has shape {tuple(x.shape)}; it has to be (N, {self.in_channels}, H, W) "
                f"or (N, {self.in_channels}, D, H, W)"
            )
        if x.ndim == 5:
            slices = x.transpose(1, 2).flatten(0, 1)
            result = self(slices)
            volume: Tensor = result.unflatten(0, (x.shape[0], x.shape[2])).transpose(1, 2)
            return volume
        if self.checkpoint and torch.is_grad_enabled():
            return recompute(self._scan, x, use_reentrant=False)
        return self._scan(x)

    def _scan(self, x: Tensor) -> Tensor:
        mixed = torch.is_autocast_enabled(x.device.type)
        compute = torch.get_autocast_dtype(x.device.type) if mixed else x.dtype
        wide = torch.promote_types(compute, torch.float32)
        batch, _, rows, columns = x.shape
        pixels = x.permute(0, 2, 3, 1).to(compute)
        # Every direction starts at the top left of its own view of the image.
        corners = torch.stack([pixels.flip(flips) for flips in _FLIPS])
        gates = corners.flatten(1, 3) @ self.weight_x.to(compute)
        gates = (gates + self.bias.to(compute).unsqueeze(1)).view(4, batch, rows, columns, -1)
        hidden = _unskew(self.recurrence(_skew(gates), columns, compute, wide), columns)
        parts = [hidden[number].flip(flips) for number, flips in enumerate(_FLIPS)]
        merged = torch.stack(parts).sum(0) if self.merge == "sum" else torch.cat(parts, dim=-1)
        return merged.permute(0, 3, 1, 2).to(torch.float32 if mixed else x.dtype)


def _above(states: Tensor, low: int, high: int) -> Tensor:
    """The states of the rows above low..high; zero above the first."""
    if low:
        return states[:, :, low - 1 : high - 1]
    return F.pad(states[:, :, : high - 1], (0, 0, 1, 0))


def _skew(image: Tensor) -> Tensor:
    """Shift row r by r columns: (a, N, R, W, F) to (a, N, R, R + W - 1, F)."""
    a, batch, rows, columns, features = image.shape
    padded = F.pad(image, (0, 0, 0, rows)).view(a, batch, rows * (columns + rows), features)
    return padded[:, :, :-rows].reshape(a, batch, rows, columns + rows - 1, features)


def _unskew(skewed: Tensor, columns: int) -> Tensor:
    """Undo ``_skew``."""
    a, batch, rows, diagonals, features = skewed.shape
    flat = F.pad(skewed.reshape(a, batch, rows * diagonals, features), (0, 0, 0, rows))
    return flat.view(a, batch, rows, diagonals + 1, features)[:, :, :, :columns]
