"""Make images on many devices at once: one worker for each, fed by this process through Ray.

This process owns the queue (`jobs`) and the claims on the store. A worker (`worker`) holds the
base, writes what it makes into the store by content address, and returns only how it was made. `crew` hands
out the jobs and replaces workers that fail. `studio` stands in for `diffusion.Studio`.

Ray is imported in `ray_client`, and only when a run asks for a cluster.
"""

from lora_checks.diffusion.cluster.opened import Asked, Cluster

__all__ = ["Asked", "Cluster"]
