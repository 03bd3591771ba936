use std::collections::BinaryHeap;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000;
const START: i64 = 1_800_000_000_000;

/// A small generator of its own, so that a simulation is the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}

/// The provider's side: fixed windows of its own, in microseconds.
#[derive(Clone, Copy, Debug)]
enum Windows {
    /// From the first call after the last window.
    FromFirstCall(u64),
    /// By a clock, whose windows begin anywhere.
    ByClock { length: u64, offset: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Simulation {
    windows: Windows,
    permits: u32,
    latency: u64,
    /// Of a hundred calls or answers, how many get lost.
    lost: u64,
    /// Whether headers tell, and how they round.
    told: Option<Rounding>,
    /// How eager the caller is: idle times are up to so long.
    idle: u64,
}

#[derive(Clone, Copy, Debug)]
enum Rounding {
    Floor,
    Ceil,
    Nearest,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrives { call: Timestamp },
    Answered { call: Timestamp, observation: (u32, Option<u64>) },
}

struct Outcome {
    served: u64,
    refused: u64,
    ended: u64,
}

/// What is kept across restarts is what the ledger keeps: the window alone.
fn simulate(simulation: Simulation, calls: u64, until: u64, seed: u64) -> Outcome {
    let Simulation { windows, permits, latency, lost, told, idle } = simulation;
    let length = match windows {
        Windows::FromFirstCall(length) | Windows::ByClock { length, .. } => length,
    };
    let limit = Limit {
        name: "calls".into(),
        unit: LimitUnit::Calls,
        permits,
        window: LimitWindow::Rolling(Duration::from_micros(length)),
        spacing: Duration::ZERO,
    };
    let clock = |micros: u64| Timestamp::from_millis(START + i64::try_from(micros / 1000).expect("short"));
    let mut random = Random(seed | 1);
    let mut window = Window::default();
    let mut events: BinaryHeap<std::cmp::Reverse<(u64, Event)>> = BinaryHeap::new();
    let (mut began, mut count) = (0_u64, 0_u32);
    let mut outcome = Outcome { served: 0, refused: 0, ended: 0 };
    let (mut now, mut next_try, mut made) = (0_u64, 0_u64, 0_u64);
    while made < calls && now < until {
        let event_at = events.peek().map_or(u64::MAX, |event| event.0.0);
        if next_try <= event_at {
            now = next_try;
            match window.check(&limit, 1, clock(now)) {
                Ok(()) => {
                    let call = window.take(&limit, 1, clock(now));
                    made += 1;
                    if random.below(100) >= lost {
                        let arrival = now + random.below(latency + 1);
                        events.push(std::cmp::Reverse((arrival, Event::Arrives { call })));
                    }
                    next_try = now + random.below(idle + 1);
                }
                Err(wait) => {
                    let wait = u64::try_from(wait.until.since(clock(now)).as_micros()).expect("short");
                    next_try = now - now % 1000 + wait.max(1000);
                }
            }
            continue;
        }
        let Some(std::cmp::Reverse((at, event))) = events.pop() else { break };
        now = at;
        match event {
            Event::Arrives { call } => {
                let over = match windows {
                    Windows::FromFirstCall(length) => count == 0 || now >= began + length,
                    Windows::ByClock { length, offset } => {
                        (now + offset) / length != (began + offset) / length
                    }
                };
                if over {
                    (began, count) = (now, 0);
                }
                if count >= permits {
                    outcome.refused += 1;
                } else {
                    count += 1;
                    outcome.served += 1;
                }
                let left = match windows {
                    Windows::FromFirstCall(length) => began + length - now,
                    Windows::ByClock { length, offset } => length - (now + offset) % length,
                };
                let seconds = told.map(|rounding| match rounding {
                    Rounding::Floor => left / SECOND,
                    Rounding::Ceil => left.div_ceil(SECOND),
                    Rounding::Nearest => (left + SECOND / 2) / SECOND,
                });
                if random.below(100) >= lost {
                    let arrival = now + random.below(latency + 1);
                    let observation = (permits - count, seconds);
                    events.push(std::cmp::Reverse((arrival, Event::Answered { call, observation })));
                }
            }
            Event::Answered { call, observation: (left, seconds) } => {
                let resets_in = seconds.map(Duration::from_secs);
                let observation = Observation {
                    remaining: resets_in.map(|_| left),
                    resets_in,
                    closed: (resets_in.is_some() && left == 0).then_some(Closed::Unsaid),
                };
                window.observe(&limit, call, clock(now), observation);
                next_try = next_try.max(now);
            }
        }
    }
    outcome.ended = now;
    outcome
}

fn any_simulation() -> impl Strategy<Value = Simulation> {
    let length = prop_oneof![Just(SECOND), Just(60 * SECOND), SECOND..600 * SECOND];
    let windows = (length, any::<bool>(), any::<u64>()).prop_map(|(length, by_clock, offset)| {
        if by_clock {
            Windows::ByClock { length, offset: offset % length }
        } else {
            Windows::FromFirstCall(length)
        }
    });
    let told = prop_oneof![
        Just(None),
        Just(Some(Rounding::Floor)),
        Just(Some(Rounding::Ceil)),
        Just(Some(Rounding::Nearest))
    ];
    let idle = prop_oneof![Just(0), 0..SECOND, 0..30 * SECOND, 0..700 * SECOND];
    // A call takes eight seconds at most, there and back.
    (windows, 1..80_u32, 0..4 * SECOND, 0..30_u64, told, idle).prop_map(
        |(windows, permits, latency, lost, told, idle)| Simulation {
            windows,
            permits,
            latency,
            lost,
            told,
            idle,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_call_comes_while_a_window_is_closed(simulation in any_simulation(), seed: u64) {
        prop_assert_eq!(simulate(simulation, 2_000, u64::MAX, seed).refused, 0);
    }

    #[test]
    fn an_eager_caller_loses_no_more_than_the_way_there_and_back(
        permits in 1..60_u32,
        latency in 0..SECOND / 2,
        seed: u64,
    ) {
        let windows = Windows::FromFirstCall(60 * SECOND);
        let simulation = Simulation { windows, permits, latency, lost: 0, told: None, idle: 0 };
        let outcome = simulate(simulation, u64::MAX, 600 * SECOND, seed);
        prop_assert_eq!(outcome.refused, 0);
        prop_assert_eq!(outcome.served, u64::from(permits) * 10);
    }

    #[test]
    fn a_window_survives_its_text(spent: Vec<(u32, u32, u32)>, closed: u32, next: u32) {
        let at = |seconds: u32| Timestamp::from_secs(seconds.into());
        let spent = spent
            .into_iter()
            .map(|(call, until, permits)| Spent { call: at(call), until: at(until), permits })
            .collect();
        let window = Window { spent, closed_until: at(closed), next_at: at(next) };
        let text = serde_json::to_string(&window).expect("text");
        prop_assert_eq!(serde_json::from_str::<Window>(&text).expect("a window"), window);
    }
}

#[test]
fn a_million_calls_keep_the_contract() {
    let minute = 60 * SECOND;
    let tolds = [None, Some(Rounding::Floor), Some(Rounding::Ceil), Some(Rounding::Nearest)];
    let mut calls = 0;
    for (seed, told) in (11..).zip(tolds) {
        for windows in
            [Windows::FromFirstCall(minute), Windows::ByClock { length: minute, offset: 17 * SECOND }]
        {
            let simulation =
                Simulation { windows, permits: 45, latency: 2 * SECOND, lost: 3, told, idle: SECOND };
            let outcome = simulate(simulation, 125_000, u64::MAX, seed);
            assert_eq!(outcome.refused, 0, "{windows:?} {told:?}");
            calls += 125_000;
        }
    }
    assert_eq!(calls, 1_000_000);
}

fn limit(unit: LimitUnit, permits: u32, window: LimitWindow) -> Limit {
    Limit { name: "a limit".into(), unit, permits, window, spacing: Duration::ZERO }
}

const MINUTE: LimitWindow = LimitWindow::Rolling(Duration::from_mins(1));

#[test]
fn a_call_that_was_never_answered_counts_for_as_long_as_it_may_arrive() {
    let limit = limit(LimitUnit::Calls, 1, MINUTE);
    let mut window = Window::default();
    let now = Timestamp::from_millis(START);
    window.take(&limit, 1, now);
    let free = |window: &Window, seconds| window.check(&limit, 1, now.plus(Duration::from_secs(seconds)));
    assert!(free(&window, 69).is_err());
    assert!(free(&window, 70).is_ok());
    // Who has to wait is told of the likely end and not of the worst.
    assert_eq!(free(&window, 1).unwrap_err().until, now.plus(Duration::from_millis(60_001)));
}

#[test]
fn another_user_of_the_allowance_is_counted() {
    let limit = limit(LimitUnit::Calls, 10, MINUTE);
    let mut window = Window::default();
    let now = Timestamp::from_millis(START);
    let call = window.take(&limit, 1, now);
    let observation = Observation {
        remaining: Some(4),
        resets_in: Some(Duration::from_secs(20)),
        ..Observation::default()
    };
    window.observe(&limit, call, now, observation);
    assert_eq!(window.left(&limit, now), 4);
    let later = now.plus(Duration::from_secs(22));
    assert_eq!(window.left(&limit, later), 9, "what others took ends with the provider's window");
}

#[test]
fn a_provider_that_asks_to_be_left_alone_is() {
    let limit = limit(LimitUnit::Calls, 10, MINUTE);
    let now = Timestamp::from_millis(START);
    let until = |closed, resets_in| {
        let mut window = Window::default();
        let observation = Observation { remaining: None, resets_in, closed: Some(closed) };
        window.observe(&limit, now, now, observation);
        window.closed_until.since(now).as_secs()
    };
    assert_eq!(until(Closed::For(Duration::from_secs(7)), None), 7);
    assert_eq!(until(Closed::For(Duration::ZERO), None), 1);
    assert_eq!(until(Closed::Unsaid, Some(Duration::from_secs(7))), 8);
    assert_eq!(until(Closed::Unsaid, None), 60);
}

#[test]
fn calls_around_midnight_count_in_both_days() {
    let limit = limit(LimitUnit::Addresses, 1000, LimitWindow::Day);
    let midnight = Timestamp::from_millis(START).next_utc_day();
    let mut window = Window::default();
    let noon = midnight.minus(Duration::from_hours(12));
    let call = window.take(&limit, 100, noon);
    window.observe(&limit, call, noon, Observation::default());
    let late = midnight.minus(Duration::from_secs(2));
    let call = window.take(&limit, 10, late);
    window.observe(&limit, call, late, Observation::default());
    assert_eq!(window.left(&limit, late), 890);
    assert_eq!(window.left(&limit, midnight), 890, "the provider's midnight may be later");
    assert_eq!(window.left(&limit, midnight.plus(Duration::from_secs(6))), 990);
    assert_eq!(window.left(&limit, midnight.plus(Duration::from_hours(25))), 1000);
}

#[test]
fn a_call_takes_from_all_limits_or_from_none_and_asks_for_less_where_less_is_left() {
    let limits = [limit(LimitUnit::Calls, 2, MINUTE), limit(LimitUnit::Addresses, 150, LimitWindow::Day)];
    let mut windows = [Window::default(), Window::default()];
    let now = Timestamp::from_millis(START);
    let mut take =
        || take_permits(&limits, &mut windows, 100, now).map(|permits| (permits.addresses, permits.left));
    assert_eq!(take(), Ok((100, 50)));
    assert_eq!(take(), Ok((50, 0)));
    let (position, wait) = take().unwrap_err();
    assert_eq!((position, wait.reason), (1, WaitReason::Used));
    assert_eq!(windows[0].used(now), 2);
}

#[test]
fn a_large_limit_is_no_long_list() {
    let limit = limit(LimitUnit::Calls, 100_000, MINUTE);
    let mut window = Window::default();
    for milli in 0..50_000 {
        let now = Timestamp::from_millis(START + milli);
        let call = window.take(&limit, 1, now);
        window.observe(&limit, call, now, Observation::default());
    }
    assert!(window.spent.len() <= MOST_ENTRIES + 1, "{}", window.spent.len());
    assert_eq!(window.used(Timestamp::from_millis(START + 50_000)), 50_000);
}
