"""What a replay showed: peaks, refusals, and the headroom that over-estimates cost. It decides nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True)
class Answer:
    """What the budget said to a call of the log, and what the call cost."""

    line: int
    at: datetime
    ended_at: datetime
    service: str
    estimate: Decimal
    actual: Decimal
    """0 for a call that failed."""
    can_proceed: bool
    reason: str
    current_total: Decimal
    day: date
    """The budget's day that it fell on."""
    resets_at: datetime
    retry_at: datetime | None
    expires_at: datetime | None
    late: bool | None
    """The hold had lapsed before the call ended; None when refused."""


@dataclass(frozen=True)
class Refusal:
    """A call that would not have been made."""

    line: int
    at: datetime
    day: date
    service: str
    reason: str
    estimate: Decimal
    current_total: Decimal
    retry_at: datetime | None
    needless: bool
    """It would have fitted if every hold, and its own estimate, had been what the call then cost."""


@dataclass(frozen=True)
class Peak:
    """The most of something, and when it was first reached; None if there never was any."""

    amount: Decimal = Decimal(0)
    at: datetime | None = None


@dataclass(frozen=True)
class Slice:
    """A piece of the log's time: the day that runs, at its moment of the highest total, and the refusals."""

    starts_at: datetime
    settled: Decimal
    held: Decimal
    refused: int


@dataclass(frozen=True)
class Figures:
    """How the log fared under one estimate rule and one limit. Amounts are in the currency of the log."""

    rule: str
    limit: Decimal
    granted: int
    refusals: list[Refusal]
    spent: Decimal
    """The actual costs of the calls that were granted."""
    refused_spend: Decimal
    """What the refused calls had cost."""
    peak_held: Peak
    """Of the open holds of one day."""
    peak_total: Peak
    """Of what one day had settled and held."""
    peak_lost: Peak
    """Of what open holds of one day kept beyond what their calls then cost."""
    over: int
    """Granted calls that cost less than their estimate, and by how much in all."""
    over_amount: Decimal
    under: int
    """Granted calls that cost more."""
    under_amount: Decimal
    late: int
    """Calls that outlived their hold."""
    slices: list[Slice] = field(repr=False)
    """The whole time of the log, for a picture."""

    @property
    def refused(self) -> int:
        """How many calls were refused."""
        return len(self.refusals)

    @property
    def needless(self) -> int:
        """How many of them for over-estimates alone."""
        return sum(refusal.needless for refusal in self.refusals)

    @property
    def reasons(self) -> dict[str, int]:
        """How many for each reason, most first."""
        counts: dict[str, int] = defaultdict(int)
        for refusal in self.refusals:
            counts[refusal.reason] += 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


@dataclass
class _Day:
    """A budget day at a moment: what counts, what of it is held, and what the holds keep for nothing."""

    settled: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    surplus: Decimal = Decimal(0)

    @property
    def total(self) -> Decimal:
        return self.settled + self.held


def measure(rule: str, limit: Decimal, answers: Iterable[Answer], *, keeps: bool = False) -> Figures:
    """Add up the answers of one replay.

    Args:
        rule: the estimate rule that made the estimates.
        limit: the limit of the day.
        answers: at least one.
        keeps: a lapsed hold counts as spent (`on_expiry` is `keep`).
    """
    every = list(answers)
    days: dict[datetime, _Day] = defaultdict(_Day)
    peaks = {"held": Peak(), "total": Peak(), "surplus": Peak()}
    picture = _Picture(min(answer.at for answer in every), max(answer.ended_at for answer in every))
    refusals = []
    for at, answer, step in _moments(every):
        day = days[answer.resets_at]
        if step == "begins" and not answer.can_proceed:
            fits = day.total - day.surplus + answer.actual <= limit
            refusals.append(_refusal(answer, needless=fits))
            picture.see(at, answer.resets_at, day, refused=1)
            continue
        _step(day, answer, step, keeps=keeps)
        for name, peak in peaks.items():
            amount = getattr(day, name)
            if amount > peak.amount:
                peaks[name] = Peak(amount, at)
        picture.see(at, answer.resets_at, day)
    granted = [answer for answer in every if answer.can_proceed]
    over = [answer.estimate - answer.actual for answer in granted if answer.estimate > answer.actual]
    under = [answer.actual - answer.estimate for answer in granted if answer.estimate < answer.actual]
    return Figures(
        rule=rule,
        limit=limit,
        granted=len(granted),
        refusals=refusals,
        spent=sum((answer.actual for answer in granted), Decimal(0)),
        refused_spend=sum((answer.actual for answer in every if not answer.can_proceed), Decimal(0)),
        peak_held=peaks["held"],
        peak_total=peaks["total"],
        peak_lost=peaks["surplus"],
        over=len(over),
        over_amount=sum(over, Decimal(0)),
        under=len(under),
        under_amount=sum(under, Decimal(0)),
        late=sum(bool(answer.late) for answer in granted),
        slices=picture.slices(),
    )


class _Picture:
    """The time of the log in slices of equal length. What happens to a day that is over is not in the picture."""

    COUNT = 180

    def __init__(self, begins: datetime, ends: datetime) -> None:
        self._begins = begins
        self._width = max((ends - begins) / self.COUNT, timedelta(microseconds=1))
        self._highest: list[tuple[Decimal, Decimal]] = []
        self._refused = [0] * self.COUNT
        self._now = (Decimal(0), Decimal(0))
        self._until = begins

    def see(self, at: datetime, resets_at: datetime, day: _Day, *, refused: int = 0) -> None:
        """Take in a moment; they come in order."""
        index = min(self.COUNT - 1, (at - self._begins) // self._width)
        self._go_to(index)
        self._refused[index] += refused
        if at >= resets_at:
            return
        self._now, self._until = (day.settled, day.held), resets_at
        self._highest[index] = max(self._highest[index], self._now, key=sum)

    def slices(self) -> list[Slice]:
        """Return all of them."""
        self._go_to(self.COUNT - 1)
        return [
            Slice(self._begins + number * self._width, settled, held, self._refused[number])
            for number, (settled, held) in enumerate(self._highest)
        ]

    def _go_to(self, index: int) -> None:
        """A slice begins with what the one before it ended with, unless its day has begun anew."""
        while len(self._highest) <= index:
            starts_at = self._begins + len(self._highest) * self._width
            self._highest.append(self._now if starts_at < self._until else (Decimal(0), Decimal(0)))


def _refusal(answer: Answer, *, needless: bool) -> Refusal:
    return Refusal(
        answer.line,
        answer.at,
        answer.day,
        answer.service,
        answer.reason,
        answer.estimate,
        answer.current_total,
        answer.retry_at,
        needless,
    )


def _moments(answers: list[Answer]) -> Iterator[tuple[datetime, Answer, str]]:
    """Yield what happened in the order of the replay: a hold lapses, a call ends, a call begins."""
    moments = []
    for answer in answers:
        instant = answer.at == answer.ended_at
        moments.append((answer.at, 2, answer.line, 0, "begins", answer))
        if answer.can_proceed:
            if answer.expires_at is not None and answer.expires_at <= answer.ended_at:
                moments.append((answer.expires_at, 0, answer.line, 0, "lapses", answer))
            order = 2 if instant else 1
            moments.append((answer.ended_at, order, answer.line, 1, "ends", answer))
    for at, _, _, _, step, answer in sorted(moments, key=lambda moment: moment[:4]):
        yield at, answer, step


def _step(day: _Day, answer: Answer, step: str, *, keeps: bool) -> None:
    surplus = max(answer.estimate - answer.actual, Decimal(0))
    if step == "begins":
        day.held += answer.estimate
        day.surplus += surplus
        return
    if step == "lapses" or not answer.late:
        day.held -= answer.estimate
        day.surplus -= surplus
    if step == "lapses":
        day.settled += answer.estimate if keeps else 0
    else:
        day.settled += answer.actual - (answer.estimate if keeps and answer.late else 0)
