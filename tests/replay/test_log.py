"""Reading a log: what a line means, and which line is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from pgbudget.replay import Defaults, LogError, possible_rules, read_log
from tests.rows import expect

DEFAULTS = Defaults(timedelta(seconds=10), priced=frozenset({"mini"}))
TOKENS = "time,service,proposer,input_tokens,output_tokens"


def utc(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2025, 10, 3, hour, minute, second, tzinfo=timezone.utc)


def test_a_line_in_full() -> None:
    header = "time,service,estimate,actual,proposer,input_tokens,output_tokens,max_output_tokens,complexity_score"
    line = '2025-10-03T09:00:00+02:00,"a, b",1.5,0.0000000000001,mini,10,20,30,0.5,yes,1.5,who'
    log = read_log([f"{header},hard_stop_required,Duration_s,note\n", line], DEFAULTS)
    [call] = log.calls
    expect(call, line=2, at=utc(7), ended_at=utc(7) + timedelta(seconds=1.5), service="a, b", logged=Decimal("1.5"))
    expect(call, actual=Decimal("0.000000000001"), proposer="mini", complexity_score=Decimal("0.5"))
    expect(call, input_tokens=10, output_tokens=20, max_output_tokens=30, hard_stop_required=True)
    assert log.ignored == ["note"]


def test_what_a_line_leaves_out() -> None:
    defaults = Defaults(timedelta(minutes=1), 500)
    first, second = read_log(
        ["time,service,actual,ended\n", "2025-10-03 09:00,a,,2025-10-03T09:05Z\n", "2025-10-03T10:00Z,a,1,"], defaults
    ).calls
    expect(
        first, at=utc(9), ended_at=utc(9, 5), logged=None, actual=None, max_output_tokens=500, hard_stop_required=False
    )
    expect(second, ended_at=utc(10, 1), actual=Decimal(1))


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    lines = ["time,service,actual\n", "\n", '2025-10-03,"two\n', 'lines",1\n', "2025-10-03,b,1\n", "2025-10-03,b,x\n"]
    assert [call.line for call in read_log(lines[:-1], DEFAULTS).calls] == [3, 5]
    with pytest.raises(LogError, match=r"^line 6: actual 'x' is not a number$"):
        read_log(lines, DEFAULTS)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([], "line 1: the file is empty"),
        (["time,service,actual"], "line 1: no call follows"),
        (["time,actual", "x"], "line 1: there is no column 'service'"),
        (["time,service,cost", "x"], "line 1: what a call cost is in a column 'actual'"),
        (["time,service,actual,time", "x"], "line 1: the column 'time' is there twice"),
        (["time,service,actual,ended,duration_s", "x"], "line 1: the columns 'duration_s' and 'ended' say the same"),
        (["time,service,actual", "2025-10-03,a"], "line 2: 2 values for 3 columns"),
        (["time,service,actual", '2025-10-03,"a,1'], "line 2: unexpected end of data"),
        (["time,service,actual", ",a,1"], "line 2: there is no time"),
        (["time,service,actual", "yesterday,a,1"], "line 2: time 'yesterday' is not a time"),
        (["time,service,actual", "0001-01-01T00:00+05:00,a,1"], "line 2: time '0001"),
        (["time,service,actual", "2025-10-03,,1"], "line 2: a service's name has 1 to 200"),
        (["time,service,actual", f"2025-10-03,{'a' * 201},1"], "line 2: a service's name has 1 to 200"),
        (["time,service,actual", "2025-10-03,a,-1"], "line 2: actual '-1' is not an amount"),
        (["time,service,actual", "2025-10-03,a,NaN"], "line 2: actual 'NaN' is not a number"),
        (["time,service,actual", "2025-10-03,a,1e15"], "line 2: actual '1e15' is not an amount"),
        (["time,service,actual,ended", "2025-10-03,a,1,2025-10-02"], "line 2: it ended before it began"),
        (["time,service,actual,duration_s", "2025-10-03,a,1,-1"], "line 2: it ended before it began"),
        (["time,service,actual,duration_s", "2025-10-03,a,1,1e15"], "line 2: duration_s '1e15' is too long"),
        (["time,service,actual,hard_stop_required", "2025-10-03,a,1,maybe"], "line 2: hard_stop_required 'maybe'"),
        ([TOKENS, "2025-10-03,a,,1,1"], "line 2: tokens have no price without a proposer"),
        ([TOKENS, "2025-10-03,a,mini,,1"], "line 2: there are no input_tokens"),
        ([TOKENS, "2025-10-03,a,maxi,1,1"], "line 2: the proposer 'maxi' has no price"),
        ([TOKENS, "2025-10-03,a,mini,1.5,1"], "line 2: input_tokens '1.5' is not a number of tokens"),
        ([TOKENS, "2025-10-03,a,mini,1,-1"], "line 2: output_tokens '-1' is not a number of tokens"),
    ],
)
def test_a_fault_is_named_with_its_line(lines: list[str], says: str) -> None:
    with pytest.raises(LogError) as caught:
        read_log([f"{line}\n" for line in lines], DEFAULTS)
    assert str(caught.value).startswith(says)


def test_the_rules_that_a_log_can_feed() -> None:
    def rules(header: str, line: str, first: Decimal | None = None) -> list[str]:
        return possible_rules(read_log([f"time,service,{header}\n", f"2025-10-03,a,{line}"], DEFAULTS).calls, first)

    assert rules("actual", "1") == []
    assert rules("actual", "1", Decimal(1)) == ["history"]
    assert rules("actual,estimate", "1,1") == ["logged", "history"]
    assert rules("actual,complexity_score", "1,0.5") == ["tier", "history"]
    assert rules("proposer,input_tokens,output_tokens,max_output_tokens", "mini,1,1,5") == ["tokens", "history"]
