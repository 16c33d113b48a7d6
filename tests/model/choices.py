"""What the lives of a budget are made of: places and times, configurations, amounts, rows to pick, calls to refuse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

from hypothesis import strategies as st

from tests.model.days import DAY, MICROSECOND, UTC
from tests.model.limits import INTERVALS, parse_json
from tests.model.model import SMALLEST, ZERO, Budget, Row

# ------------------------------------------------------------------------------------------------ places and times

# Lives begin about the days on which clocks change, each zone in a way of its own.
_SCENES = [
    ("UTC", "2024-02-28T23:30"),
    ("Europe/Berlin", "2025-03-29T20:00"),
    ("Europe/Berlin", "2025-10-25T20:00"),
    ("America/New_York", "2025-11-02T02:00"),
    ("America/Havana", "2025-03-09T03:00"),  # midnight is skipped
    ("America/Havana", "2025-11-02T02:00"),  # midnight comes twice
    ("Africa/Cairo", "2025-10-30T19:30"),  # the last hour of the day comes twice
    ("Asia/Beirut", "2025-03-29T20:30"),
    ("America/Nuuk", "2024-03-30T23:00"),
    ("Australia/Lord_Howe", "2025-04-05T13:00"),  # half an hour
    ("Asia/Kathmandu", "2025-07-01T18:10"),
    ("Pacific/Kiritimati", "2024-12-31T09:00"),
    ("Pacific/Apia", "2011-12-29T22:00"),  # a day is skipped
    ("America/St_Johns", "2010-11-07T01:00"),  # a minute past midnight, back to the day before
]
ZONES = sorted({zone for zone, _ in _SCENES})
BEGINNINGS = st.builds(
    lambda scene, minutes: (
        scene[0],
        datetime.fromisoformat(scene[1]).replace(tzinfo=UTC) + timedelta(minutes=minutes),
    ),
    st.sampled_from(_SCENES),
    st.integers(0, 300),
)
SPANS = st.one_of(
    st.integers(0, 120).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(1, 90).map(lambda minutes: timedelta(minutes=minutes)),
    st.integers(1, 30).map(lambda hours: timedelta(hours=hours)),
    st.sampled_from([7 * DAY, 35 * DAY]),
)
SHORTLY = st.sampled_from([timedelta(), -MICROSECOND, MICROSECOND])
TTLS = st.one_of(
    st.none(),
    st.sampled_from([MICROSECOND, timedelta(milliseconds=1), timedelta(hours=24)]),
    st.integers(1, 86_400_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds)),
    st.integers(1, 30).map(lambda minutes: timedelta(minutes=minutes)),
)

# -------------------------------------------------------------------------------------------------- configurations

SOUND = [
    '{"emergency_kill": 100}',
    '{"emergency_kill": 25.5, "monthly_hard_cap": 1000, "a misspelt key": [1.50, "x"]}',
    '{"daily_soft_cap": 20, "daily_hard_cap": 50, "emergency_kill": 100, "exempt_services": []}',
    '{"emergency_kill": 60, "reservation_ttl": "1 day"}',
    '{"daily_soft_cap": 40, "emergency_kill": 80, "on_expiry": "keep"}',
    '{"daily_hard_cap": 60, "emergency_kill": 60, "on_expiry": "keep", "reservation_ttl": "90 minutes"}',
    '{"daily_soft_cap": 0, "emergency_kill": 0}',
    '{"emergency_kill": 999999999999999.999999999999}',
]
BROKEN = [
    None,
    "",
    "not json",
    "null",
    "[]",
    '"100"',
    "{}",
    '{"daily_hard_cap": 50}',
    '{"emergency_kill": null}',
    '{"emergency_kill": true}',
    '{"emergency_kill": "100"}',
    '{"emergency_kill": -1}',
    '{"emergency_kill": NaN}',
    '{"emergency_kill": "NaN"}',
    '{"emergency_kill": 1e15}',
    '{"emergency_kill": 100, "daily_soft_cap": null}',
    '{"emergency_kill": 100, "daily_soft_cap": 50, "daily_hard_cap": 20}',
    '{"emergency_kill": 100, "daily_soft_cap": 100.000001}',
    '{"emergency_kill": 100, "daily_hard_cap": 1e3}',
    '{"emergency_kill": 100, "timezone": null}',
    '{"emergency_kill": 100, "timezone": "Mars/Olympus"}',
    '{"emergency_kill": 100, "timezone": "UTC+3"}',
    '{"emergency_kill": 100, "timezone": 3}',
    '{"emergency_kill": 100, "reservation_ttl": 3600}',
    '{"emergency_kill": 100, "reservation_ttl": "soon"}',
    '{"emergency_kill": 100, "reservation_ttl": "0 seconds"}',
    '{"emergency_kill": 100, "reservation_ttl": "-1 hour"}',
    '{"emergency_kill": 100, "reservation_ttl": "1 day 1 second"}',
    '{"emergency_kill": 100, "on_expiry": "forget"}',
    '{"emergency_kill": 100, "on_expiry": null}',
    '{"emergency_kill": 100, "exempt_services": "architect"}',
    '{"emergency_kill": 100, "exempt_services": ["architect", 1]}',
]


def in_zone(config: str, zone: str) -> str:
    return f'{config[:-1]}, "timezone": "{zone}"}}'


# Whole configurations, and a few keys of one, which may not fit the rest.
GIVEN = st.one_of(
    st.builds(in_zone, st.sampled_from(SOUND), st.sampled_from(ZONES)),
    st.fixed_dictionaries(
        {},
        optional={
            "daily_soft_cap": st.sampled_from(["0", "9.99", "60"]),
            "daily_hard_cap": st.sampled_from(["20", "55.5"]),
            "timezone": st.sampled_from([f'"{zone}"' for zone in (*ZONES, "Mars/Olympus")]),
            "on_expiry": st.sampled_from(['"release"', '"keep"']),
            "reservation_ttl": st.sampled_from([f'"{text}"' for text in INTERVALS]),
            "exempt_services": st.sampled_from(["[]", '["architect"]', '["writer", "router"]']),
            "another key": st.just("[1.50, null]"),
        },
    ).map(lambda given: "{" + ", ".join(f'"{key}": {value}' for key, value in given.items()) + "}"),
)

# --------------------------------------------------------------------------------------------------------- amounts


class Room(NamedTuple):
    """As much as is left of the limit once so many open holds have lapsed, and this much more or less."""

    more: Decimal
    lapses: int


class Same(NamedTuple):
    """As much as the row costs that the step is about, and this much more or less."""

    more: Decimal


Amount = Decimal | Room | Same

_MORE = st.sampled_from([ZERO, ZERO, SMALLEST, -SMALLEST, Decimal("1E-20"), Decimal("-0.5"), Decimal(3)])
_ODD = ["0", "0.10", "1.00", "2.50", "1E-12", "1E-13", "1E-30", "33.333333333333333333", "99.999999999999"]
_ROOM = st.builds(Room, _MORE, st.sampled_from([0, 0, 1, 2]))
CENTS = st.integers(0, 2000).map(lambda cents: Decimal(cents).scaleb(-2))
AMOUNTS = st.one_of(
    CENTS,
    CENTS,
    st.integers(0, 2 * 10**15).map(lambda tiny: Decimal(tiny).scaleb(-14)),
    st.sampled_from(_ODD).map(Decimal),
    _ROOM,
)
# What is spent of such amounts would leave the day without room for anything else.
ASKED = st.one_of(
    AMOUNTS, AMOUNTS, _ROOM, st.sampled_from(["100.000000000001", "999999999999999.999999999999"]).map(Decimal)
)
SPENT = st.one_of(AMOUNTS, _ROOM, st.builds(Same, _MORE), st.builds(Same, _MORE))
ILLEGAL = st.sampled_from([Decimal(-1), Decimal("1E15"), Decimal("NaN")])

# ----------------------------------------------------------------------------------------------- rows and services

IDS = [UUID(int=n) for n in range(1, 7)]
KINDS: dict[str, Callable[[Row, datetime], bool]] = {
    "open": lambda row, now: row.is_open(now),
    "lapsed": lambda row, now: row.has_lapsed(now),
    "ended": lambda row, _: row.was_hold and row.expires_at is None,
    "recorded": lambda row, _: row.get("recorded_at") is not None,
}


class Which(NamedTuple):
    """A row of this kind, counted from the newest; of any kind where there is none; or one of the ids above.

    With `lapsing` the clock is put to the instant at which it lapses, and this much more or less.
    """

    kind: str
    nth: int
    lapsing: timedelta | None = None


WHICH = st.builds(
    Which,
    st.sampled_from(["open", "open", "lapsed", "ended", "recorded", "id"]),
    st.integers(0, 5),
    st.one_of(st.none(), st.none(), st.none(), SHORTLY),
)
NEW_IDS = st.one_of(st.none(), st.none(), st.sampled_from(IDS))
SERVICES = st.sampled_from(["router", "writer", "architect", "ö" * 200])
METADATA: st.SearchStrategy[Any] = st.sampled_from(
    [{}, None, {"work_order_id": "7"}, {"type": "actual", "late": True, "estimated_cost": "1", "over_limit": True}]
)
PLAIN_METADATA: st.SearchStrategy[Any] = st.sampled_from(
    [None, {}, {"test": True}, {"type": "actual"}, {"type": "test", "late": "perhaps"}]
)
BY_HAND: st.SearchStrategy[Any] = st.sampled_from(
    [None, {}, {"type": "test"}]
    + [{"type": state, "note": "by hand"} for state in ("reservation", "actual", "cancelled", "expired")]
)

# ------------------------------------------------------------------------------------------------ calls to refuse


class Wrong(NamedTuple):
    """A call that no state makes right; %s stands for the id of a row."""

    sqlstate: str
    call: str
    isolation: str = "READ COMMITTED"


_OUT_OF_RANGE = ["'NaN'", "'Infinity'", "'-Infinity'", "-1", "-1E-20", "1E15", "999999999999999.9999999999999"]
_TAKE_AN_AMOUNT = [
    *("reserve({}, 'router')", "reserve_advisory({}, 'router')", "check({}, 'router')", "record({}, 'router')"),
    *("settle(%s, {})", "extend(%s, {})"),
]
_BAD = [
    *("reserve(NULL, 'router')", "check(NULL, 'router')", "record(NULL, 'router')", "settle(%s, NULL)"),
    *("reserve(1, NULL)", "reserve_advisory(1, '')", "check(1, repeat('x', 201))", "record(1, '')"),
    *("reserve(1, 'router', '[]')", "settle(%s, 1, '7')", """record(1, 'router', '"text"')"""),
    "reserve_advisory(1, 'router', jsonb_build_object('much', repeat('x', 65536)))",
    *("reserve(1, 'router', p_ttl => '0 s')", "reserve(1, 'router', p_ttl => '-1 s')"),
    *("reserve_advisory(1, 'router', p_ttl => '24:00:00.000001')", "extend(%s, p_ttl => '1 mon')"),
    *("expire(0)", "expire(NULL)", "freeze('')", "freeze(NULL)", "set_limits('[]')"),
    *("estimate(NULL, true)", "estimate('NaN', false)", "estimate(1, NULL)", "estimate_tokens('cheap', -1, 1)"),
    *("estimate_from_history('router', 1.01)", "estimate_from_history('router', p_since => '0 s')"),
]
_DECIDE = ["reserve(1, 'router')", "reserve_advisory(1, 'router')", "extend(%s)"]
WRONG = st.sampled_from(
    [
        *(Wrong("22003", call.format(amount)) for call in _TAKE_AN_AMOUNT for amount in _OUT_OF_RANGE),
        *(Wrong("22023", call) for call in _BAD),
        *(Wrong("PB001", call, level) for call in _DECIDE for level in ("REPEATABLE READ", "SERIALIZABLE")),
    ]
)

# ------------------------------------------------------------------------------------------------------- questions

PROPOSERS = {
    "cheap": '{"input_cost_per_token": 0.00000015, "output_cost_per_token": 6e-7}',
    "free": '{"input_cost_per_token": 0, "output_cost_per_token": 0}',
    "dear": '{"input_cost_per_token": 0.0000000000001, "output_cost_per_token": 75}',
    "unpriced": '{"input_cost_per_token": 0.1}',
    "misprinted": '{"input_cost_per_token": "0.1", "output_cost_per_token": 0.1}',
    "negative": '{"input_cost_per_token": 0.1, "output_cost_per_token": -0.1}',
}


class Question(NamedTuple):
    """A call that changes nothing, and how the model answers it."""

    query: str
    arguments: tuple[Any, ...]
    answer: Callable[[Budget], Any]


def _estimate(score: Decimal, hard_stop: bool) -> Question:
    return Question(
        "SELECT budget.estimate(%s, %s)", (score, hard_stop), lambda model: [model.estimate(score, hard_stop)]
    )


def _estimate_tokens(proposer: str, tokens: int, max_output: int) -> Question:
    profile = parse_json(PROPOSERS.get(proposer))
    return Question(
        "SELECT budget.estimate_tokens(%s, %s, %s)",
        (proposer, tokens, max_output),
        lambda model: [model.estimate_tokens(profile, tokens, max_output)],
    )


def _estimate_from_history(service: str, quantile: Decimal, since: timedelta) -> Question:
    return Question(
        "SELECT * FROM budget.estimate_from_history(%s, %s, %s::interval)",
        (service, quantile, since),
        lambda model: model.estimate_from_history(service, quantile, since),
    )


_TOKENS = st.sampled_from([0, 1, 777, 1_000_000, 10**14])
QUESTIONS = st.one_of(
    st.just(Question("SELECT * FROM budget.limits()", (), Budget.limits)),
    st.builds(_estimate, st.sampled_from(["0", "0.2999", "0.3", "0.99999", "1.0", "7"]).map(Decimal), st.booleans()),
    st.builds(_estimate_tokens, st.sampled_from([*PROPOSERS, "nobody"]), _TOKENS, _TOKENS),
    st.builds(
        _estimate_from_history,
        SERVICES,
        st.sampled_from(["0", "0.25", "0.5", "0.9", "1"]).map(Decimal),
        st.sampled_from([timedelta(hours=1), 2 * DAY, 30 * DAY]),
    ),
)
