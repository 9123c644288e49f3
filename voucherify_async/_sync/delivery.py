"""The progress of one batch on its way to the service. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from voucherify_async._sync.batches import Batch, halves

__all__ = ["Delivery", "Stage"]


class Stage(Enum):
    """The progress of a batch."""

    UNSENT = "never sent, or certainly not received"
    IN_DOUBT = "possibly applied"
    ACCEPTED = "a background job is processing it"


@dataclass(slots=True)
class Delivery:
    """A batch and its progress.

    Attributes:
        batch: The batch.
        is_part: Whether it is part of a batch that the service rejected as a whole.
        stage: Its progress.
        job_id: Its background job, if accepted.
        accepted: When it was accepted, in epoch seconds.
        was_in_doubt: Whether a request for it was not answered, and may have started another job.
        is_second_job: Whether an earlier job for it has failed.
    """

    batch: Batch
    is_part: bool = False
    stage: Stage = Stage.UNSENT
    job_id: str = ""
    accepted: float = 0.0
    was_in_doubt: bool = False
    is_second_job: bool = False

    @property
    def may_be_sent(self) -> bool:
        """Whether sending it now is safe: it was not applied yet, or applying it twice changes nothing."""
        return self.stage is Stage.UNSENT or self.batch.is_repeatable

    def accept(self, job_id: str, now: float) -> None:
        """Note that a background job has accepted it."""
        self.stage, self.job_id, self.accepted = Stage.ACCEPTED, job_id, now

    def doubt(self) -> None:
        """Note that a request was sent and no response came."""
        self.stage, self.was_in_doubt = Stage.IN_DOUBT, True

    def fail(self) -> None:
        """Note that its job failed, possibly after applying some items."""
        self.stage, self.is_second_job = Stage.IN_DOUBT, True

    def halves(self) -> tuple[Delivery, Delivery]:
        """Split it into two unsent parts."""
        first, second = halves(self.batch)
        return Delivery(first, is_part=True), Delivery(second, is_part=True)
