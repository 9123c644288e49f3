"""How far a batch has come on its way to the service. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from voucherify_async._sync.batches import Batch, halves

__all__ = ["Delivery", "Stage"]


class Stage(Enum):
    """How far a batch has come."""

    UNSENT = "it was never sent, or certainly did not arrive"
    IN_DOUBT = "it may have been applied"
    ACCEPTED = "a background job has it"


@dataclass(slots=True)
class Delivery:
    """A batch on its way.

    Attributes:
        batch: The batch.
        is_part: It is a part of a batch that was refused as a whole.
        stage: How far it has come.
        job_id: The background job that has it, if it is accepted.
        accepted: When that was, in epoch seconds.
        repeats: How many of its requests were sent though an earlier one may have arrived.
        is_second_job: A job with it has failed, and this is the second.
    """

    batch: Batch
    is_part: bool = False
    stage: Stage = Stage.UNSENT
    job_id: str = ""
    accepted: float = 0.0
    repeats: int = 0
    is_second_job: bool = False

    @property
    def may_be_sent(self) -> bool:
        """Whether it cannot be applied twice by sending it, or does no harm if it is."""
        return self.stage is Stage.UNSENT or self.batch.is_repeatable

    def accept(self, job_id: str, now: float) -> None:
        """A background job has taken it on."""
        self.stage, self.job_id, self.accepted = Stage.ACCEPTED, job_id, now

    def doubt(self) -> None:
        """A request with it was not answered."""
        self.stage = Stage.IN_DOUBT

    def fail(self) -> None:
        """Its job has failed, and may have applied some of it."""
        self.stage, self.is_second_job = Stage.IN_DOUBT, True

    def halves(self) -> tuple[Delivery, Delivery]:
        """Its items as two parts, neither of which was sent by itself."""
        first, second = halves(self.batch)
        part = Delivery(first, is_part=True)
        return part, replace(part, batch=second)
