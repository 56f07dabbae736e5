"""How much a decision depends on each stream: the gradient with respect to the inputs.

Source: Wand, Schmidhuber, Vu: Investigations on End-to-End Audiovisual Fusion, ICASSP 2018
(arXiv:1804.11127), which measures saliency so; the norm below is this project's choice.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def stream_saliency(
    logits: Callable[[Tensor, Tensor], Tensor], video: Tensor, audio: Tensor, classes: Tensor
) -> tuple[Tensor, Tensor]:
    """Norm of the gradient of a class's log-probability, of each clip and stream.

    Both streams are normalized to deviation 1, so that the two norms can be compared.

    Args:
        logits: From video and audio to (N, num_classes).
        video: (N, T, H, W).
        audio: (N, Ta, F).
        classes: int64 (N,), whose log-probability is taken.

    Returns:
        The norms (N,) of video and of audio; 0 for a stream that is not used.
    """
    # cuDNN computes no gradient through an LSTM in evaluation mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        video, audio = video.detach().requires_grad_(), audio.detach().requires_grad_()
        log_probs = logits(video, audio).float().log_softmax(dim=1)
        total = log_probs.gather(1, classes[:, None]).sum()
        gradients = torch.autograd.grad(total, [video, audio], allow_unused=True)
    norms = [
        torch.zeros(len(given), device=given.device)
        if gradient is None
        else gradient.flatten(1).norm(dim=1)
        for given, gradient in zip((video, audio), gradients, strict=True)
    ]
    return norms[0], norms[1]
