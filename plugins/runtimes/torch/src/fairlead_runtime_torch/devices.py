"""Where a model computes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairlead import errors

if TYPE_CHECKING:
    import torch

__all__ = ["choose", "memory"]


def choose(name: str) -> torch.device:
    """The device of a name; for ``auto`` the CUDA device that is current, where one is visible, else the CPU.

    Raises:
        ConfigurationError: there is no such device.
    """
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        if device.type == "meta":
            raise ValueError("tensors of meta have no elements")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0].rstrip(".")
        seen = [f"cuda:{place}" for place in range(torch.cuda.device_count())]
        raise errors.ConfigurationError(
            f"setting device: {name!r} cannot be used: {reason}.",
            remedy=f"Use auto or one of these: {', '.join(['cpu', *seen])}.",
        ) from error
    return device


def memory(device: torch.device) -> int:
    """Bytes that tensors of this process take on an accelerator; 0 for the CPU.

    They are those of all models of the process together: the allocator does not tell them apart.
    """
    import torch

    if device.type == "cuda":
        return int(torch.cuda.memory_allocated(device))
    if device.type == "mps":
        return int(torch.mps.current_allocated_memory())
    return 0
