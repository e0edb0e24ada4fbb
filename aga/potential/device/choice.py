"""Where the potential is computed: the processor's own kernels, or a GPU through PyTorch."""

from __future__ import annotations

from typing import Literal

import torch

from aga.errors import SiteError

__all__ = ["Device", "Precision", "choose_device"]

Device = Literal["auto", "cpu", "cuda"]
"""Where to compute; ``auto``: on a GPU where there is one."""

Precision = Literal["float64", "float32"]
"""Of the work per pair and per triplet on a device; everything per atom is float64."""


def choose_device(wanted: Device) -> torch.device:
    """Give the device that a setting means.

    Parameters
    ----------
    wanted
        Of several GPUs the environment variable ``CUDA_VISIBLE_DEVICES`` chooses.

    Raises
    ------
    aga.errors.SiteError
        A GPU is wanted and there is none.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "auto":
        return torch.device("cpu")
    built = torch.version.cuda
    why = (
        f"PyTorch {torch.__version__} is built without CUDA"
        if built is None
        else (f"PyTorch {torch.__version__}, built for CUDA {built}, sees no GPU")
    )
    raise SiteError(
        f"the device cuda is asked for, but {why}",
        remedy="use device auto or cpu; or run on a node with a GPU (`nvidia-smi` lists it) and "
        "install PyTorch with CUDA, see https://pytorch.org/get-started/locally",
        device=wanted,
    )
