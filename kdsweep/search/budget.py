"""What a sweep may spend, and what it has spent."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from kdsweep.spec.sweep import BudgetSpec

_HOUR_S = 3600.0


@dataclass(frozen=True)
class Spent:
    """Wall time in seconds, epochs that students trained, and money if its price is known."""

    seconds: float = 0.0
    epochs: int = 0
    cost: float | None = None


class Budget:
    """Counts from ``began`` on, by ``time.monotonic()``, or from the moment when it is made.

    What earlier processes have spent comes on top.

    Epochs are set aside when a trial begins, so that all that begin can end; of a trial that ends
    early the rest is given back. Time and money cannot be: what runs when they are spent is cut
    short. Any thread may ask.
    """

    def __init__(
        self,
        limits: BudgetSpec | None,
        *,
        cost_per_hour: float | None,
        spent: Spent = Spent(),
        began: float | None = None,
        running: Callable[[], int] = lambda: 0,
    ) -> None:
        """``running`` counts the epochs of trials that have not ended."""
        self._running = running
        self._limits = limits or BudgetSpec.model_construct(hours=None, epochs=None, cost=None)
        self._price, self._before = cost_per_hour, spent
        self._began = time.monotonic() if began is None else began
        self._lock = threading.Lock()
        self._trained, self._set_aside = spent.epochs, 0

    def set_aside(self, epochs: int) -> bool:
        """Whether a trial of so many epochs can still be paid for; they are then its own."""
        with self._lock:
            most = self._limits.epochs
            if most is not None and self._trained + self._set_aside + epochs > most:
                return False
            self._set_aside += epochs
            return True

    @property
    def why_not_set_aside(self) -> str:
        """What is left of the epochs, in words, where the next trial could not have its own."""
        with self._lock:
            left = (self._limits.epochs or 0) - self._trained - self._set_aside
        if not left:
            return "the budget of epochs is spent"
        return f"of the budget of epochs {left:,} are left, too few for the next trial"

    def settle(self, set_aside: int, *, trained: int) -> None:
        """A trial ended: what it trained is spent, and the rest of its epochs is free again."""
        with self._lock:
            self._set_aside -= set_aside
            self._trained += trained

    @property
    def spent(self) -> Spent:
        """All of it, from the first process of the sweep on."""
        seconds = self._before.seconds + time.monotonic() - self._began
        epochs = self._running()
        with self._lock:
            epochs += self._trained
        cost = None if self._price is None else self._price * seconds / _HOUR_S
        return Spent(seconds, epochs, cost)

    @property
    def used_up(self) -> str | None:
        """Which limit of time or money is reached, in words; none while none is."""
        limits, spent = self._limits, self.spent
        if limits.hours is not None and spent.seconds >= limits.hours * _HOUR_S:
            return f"the budget of {limits.hours:g} h is spent"
        if limits.cost is not None and spent.cost is not None and spent.cost >= limits.cost:
            return f"the budget of {limits.cost:g} in money is spent"
        return None
