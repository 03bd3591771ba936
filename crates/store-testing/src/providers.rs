//! The ledger of online providers.

use std::{borrow::Cow, sync::Arc, time::Duration};

use hostatlas_domain::{
    BreakerState, Closed, Limit, LimitUnit, LimitWindow, Location, Observation, ProviderAnswerStatus,
    ProviderName, ProviderTally, Timestamp, UnlocatedReason, WaitReason,
};
use hostatlas_store::{NewAnswer, PermitsTaken, SettleCall, Store, TakePermits};

use crate::{TestStore, factory::*};

const MINUTE: Duration = Duration::from_mins(1);

fn limit(name: &'static str, unit: LimitUnit, permits: u32, window: LimitWindow) -> Limit {
    Limit { name: Cow::Borrowed(name), unit, permits, window, spacing: Duration::ZERO }
}

fn calls(permits: u32) -> Limit {
    limit("calls a minute", LimitUnit::Calls, permits, LimitWindow::Rolling(MINUTE))
}

fn wish(limits: &[Limit], addresses: u32) -> TakePermits {
    TakePermits { provider: ProviderName::IpApi, account: 0, limits: Arc::from(limits), addresses }
}

async fn take(store: &dyn Store, params: &TakePermits) -> PermitsTaken {
    store.provider_take(params.clone()).await.expect("an answer")
}

/// The addresses that were granted and what is left, or how long to wait.
async fn granted(store: &dyn Store, params: &TakePermits) -> Result<(u32, u32), Duration> {
    match take(store, params).await {
        PermitsTaken::Granted { addresses, left, .. } => Ok((addresses, left)),
        PermitsTaken::Wait { wait, .. } => Err(wait),
    }
}

async fn windows(store: &dyn Store, params: &TakePermits) -> Vec<Timestamp> {
    match take(store, params).await {
        PermitsTaken::Granted { windows, .. } => windows,
        PermitsTaken::Wait { .. } => panic!("nothing is left"),
    }
}

fn settled(params: &TakePermits, windows: Vec<Timestamp>) -> SettleCall {
    SettleCall {
        provider: params.provider,
        account: params.account,
        limits: Arc::clone(&params.limits),
        windows,
        unsent: false,
        age: Duration::ZERO,
        observation: Observation::default(),
        tally: ProviderTally { calls: 1, addresses: 1, located: 1, ..ProviderTally::default() },
        error: None,
        breaker: (BreakerState::Closed, Duration::ZERO),
        disabled_because: None,
    }
}

/// What is used up is waited for, and is there again when the wait is over.
pub async fn permits_end_with_the_limit_and_come_back(test: &TestStore) {
    let params = wish(&[calls(2)], 10);
    assert_eq!(granted(&**test, &params).await, Ok((10, 10)));
    assert_eq!(granted(&**test, &params).await, Ok((10, 0)));
    let PermitsTaken::Wait { wait, reason, limit } = take(&**test, &params).await else {
        panic!("more than the limit");
    };
    assert_eq!((reason, limit.as_str()), (WaitReason::Used, "calls a minute"));
    assert!(wait >= MINUTE / 2 && wait <= MINUTE * 2, "{wait:?}");
    (test.advance)(SECOND * 50);
    assert!(granted(&**test, &params).await.is_err());
    (test.advance)(MINUTE);
    assert_eq!(granted(&**test, &params).await, Ok((10, 10)));
}

/// The limit that refuses costs the others nothing.
pub async fn a_call_takes_from_all_limits_or_none(test: &TestStore) {
    let day = limit("calls a day", LimitUnit::Calls, 1, LimitWindow::Day);
    assert!(granted(&**test, &wish(&[calls(3), day.clone()], 1)).await.is_ok());
    for _ in 0..3 {
        assert!(granted(&**test, &wish(&[calls(3), day.clone()], 1)).await.is_err());
    }
    assert_eq!(granted(&**test, &wish(&[calls(3)], 1)).await, Ok((1, 1)));
}

/// A batch becomes smaller rather than wait for the next day.
pub async fn a_limit_of_addresses_grants_what_is_left(test: &TestStore) {
    let params = wish(&[limit("addresses a day", LimitUnit::Addresses, 130, LimitWindow::Day)], 100);
    assert_eq!(granted(&**test, &params).await, Ok((100, 30)));
    assert_eq!(granted(&**test, &params).await, Ok((30, 0)));
    assert!(granted(&**test, &params).await.is_err());
}

/// Two keys are two allowances, and so are two providers.
pub async fn accounts_are_counted_apart(test: &TestStore) {
    let first = wish(&[calls(1)], 1);
    let second = TakePermits { account: 1, ..first.clone() };
    let other = TakePermits { provider: ProviderName::Ipinfo, ..first.clone() };
    for params in [&first, &second, &other] {
        assert!(granted(&**test, params).await.is_ok());
        assert!(granted(&**test, params).await.is_err());
    }
    let rows = test.provider_list().await.expect("a list");
    let accounts: Vec<_> = rows.iter().map(|row| (row.provider, row.account)).collect();
    assert_eq!(accounts, [(ProviderName::IpApi, 0), (ProviderName::IpApi, 1), (ProviderName::Ipinfo, 0)]);
    assert!(rows.iter().all(|row| row.windows.len() == 1 && row.windows[0].0 == "calls a minute"));
    assert!(rows.iter().all(|row| row.windows[0].1.used(row.read_at) == 1));
}

/// However they meet, in one process or two, all that the limit allows is given out and nothing beyond.
pub async fn four_tasks_never_exceed_a_limit(test: &TestStore) {
    let day = limit("addresses a day", LimitUnit::Addresses, 450, LimitWindow::Day);
    let params = wish(&[calls(60), day], 10);
    let other = (test.again)().await;
    let mut tasks = tokio::task::JoinSet::new();
    for store in [&test.store, &other, &test.store, &other].map(Arc::clone) {
        let params = params.clone();
        tasks.spawn(async move {
            let (mut calls, mut sum) = (0, 0);
            for _ in 0..40 {
                if let Ok((addresses, _)) = granted(&*store, &params).await {
                    calls += 1;
                    sum += addresses;
                }
            }
            (calls, sum)
        });
    }
    let taken = tasks.join_all().await;
    assert_eq!(taken.iter().map(|(calls, _)| calls).sum::<u32>(), 45);
    assert_eq!(taken.iter().map(|(_, addresses)| addresses).sum::<u32>(), 450);
    other.close().await;
}

/// A process that is started anew does not spend again what the one before spent.
pub async fn a_restart_in_mid_window_keeps_the_count(test: &TestStore) {
    let params = wish(&[calls(3)], 1);
    for _ in 0..2 {
        assert!(granted(&**test, &params).await.is_ok());
    }
    (test.advance)(SECOND * 30);
    let restarted = (test.again)().await;
    assert_eq!(granted(&*restarted, &params).await, Ok((1, 0)));
    assert!(granted(&*restarted, &params).await.is_err());
    assert!(granted(&**test, &params).await.is_err());
    restarted.close().await;
}

/// Once the provider has answered, it is known by when it had counted the call.
pub async fn an_answer_ends_its_window_sooner(test: &TestStore) {
    let answered = wish(&[calls(1)], 1);
    let unanswered = TakePermits { account: 1, ..answered.clone() };
    let names = windows(&**test, &answered).await;
    windows(&**test, &unanswered).await;
    test.provider_settle(settled(&answered, names)).await.expect("settled");
    (test.advance)(SECOND * 58);
    assert!(granted(&**test, &answered).await.is_err());
    (test.advance)(SECOND * 4);
    assert!(granted(&**test, &answered).await.is_ok());
    assert!(granted(&**test, &unanswered).await.is_err());
}

/// A call that was never sent cannot have been counted by the provider: its permits can be had again, and those of other
/// calls cannot.
pub async fn a_call_that_was_not_sent_gives_its_permits_back(test: &TestStore) {
    let params = wish(&[calls(2)], 1);
    let unsent = windows(&**test, &params).await;
    let sent = windows(&**test, &params).await;
    assert!(granted(&**test, &params).await.is_err());
    let call = SettleCall { unsent: true, ..settled(&params, unsent) };
    test.provider_settle(call).await.expect("settled");
    test.provider_settle(settled(&params, sent)).await.expect("settled");
    assert_eq!(granted(&**test, &params).await, Ok((1, 0)));
    assert!(granted(&**test, &params).await.is_err());
}

/// Whoever sets no limit is not held up by counting.
pub async fn a_call_without_limits_is_granted(test: &TestStore) {
    assert_eq!(granted(&**test, &wish(&[], 100)).await, Ok((100, u32::MAX)));
    assert_eq!(test.provider_list().await.expect("a list"), []);
}

/// It said so, and every process hears of it.
pub async fn a_closed_provider_is_left_alone(test: &TestStore) {
    let params = wish(&[calls(100)], 1);
    let names = windows(&**test, &params).await;
    let closed = Some(Closed::For(HOUR));
    let observation = Observation { closed, ..Observation::default() };
    let call = SettleCall { observation, ..settled(&params, names) };
    test.provider_settle(call).await.expect("settled");
    let other = (test.again)().await;
    let PermitsTaken::Wait { wait, reason, .. } = take(&*other, &params).await else {
        panic!("it was called while it was closed");
    };
    assert_eq!(reason, WaitReason::Closed);
    assert!(wait > SECOND * 3598, "{wait:?}");
    (test.advance)(HOUR + SECOND);
    assert!(granted(&*other, &params).await.is_ok());
    other.close().await;
}

/// Counts and latencies are sums; an error stays until the next; the breaker is the last call's.
pub async fn what_calls_came_to_adds_up(test: &TestStore) {
    let params = wish(&[calls(10)], 1);
    let mut tally =
        ProviderTally { calls: 1, addresses: 5, located: 3, missed: 2, ..ProviderTally::default() };
    tally.latencies.record(Duration::from_millis(20));
    let names = windows(&**test, &params).await;
    let good = SettleCall { tally, ..settled(&params, names) };
    test.provider_settle(good.clone()).await.expect("settled");
    test.provider_settle(SettleCall { age: SECOND, ..good.clone() }).await.expect("settled");
    let failed = SettleCall {
        windows: Vec::new(),
        tally: ProviderTally { calls: 1, failed_calls: 1, addresses: 5, ..ProviderTally::default() },
        error: Some("it did not answer in 8 s".to_owned()),
        breaker: (BreakerState::Open, Duration::from_secs(30)),
        disabled_because: Some("its key was refused".to_owned()),
        ..good.clone()
    };
    test.provider_settle(failed).await.expect("settled");
    let row = test.provider_list().await.expect("a list").remove(0);
    let sums =
        (row.tally.calls, row.tally.failed_calls, row.tally.addresses, row.tally.located, row.tally.missed);
    assert_eq!(sums, (3, 1, 15, 6, 4));
    assert_eq!(row.tally.latencies.0.iter().sum::<u32>(), 2);
    assert_eq!(row.breaker, BreakerState::Open);
    let open_for = row.breaker_until.expect("an end").since(row.read_at);
    assert!(open_for > Duration::from_secs(25) && open_for <= Duration::from_secs(30), "{open_for:?}");
    assert_eq!(row.disabled_because.as_deref(), Some("its key was refused"));
    assert!(row.last_error_at.is_some() && row.last_call_at.is_some());
    let half_open = (BreakerState::HalfOpen, Duration::ZERO);
    test.provider_settle(SettleCall { breaker: half_open, ..good }).await.expect("settled");
    let row = test.provider_list().await.expect("a list").remove(0);
    assert_eq!((row.breaker, row.breaker_until, row.disabled_because), (BreakerState::HalfOpen, None, None));
    assert_eq!(row.last_error.as_deref(), Some("it did not answer in 8 s"));
}

fn said(host: &str, provider: ProviderName, status: ProviderAnswerStatus) -> NewAnswer {
    NewAnswer { address: address(host), provider, status }
}

fn is_located() -> ProviderAnswerStatus {
    let located = Arc::unwrap_or_clone(frankfurt());
    ProviderAnswerStatus::Located(Box::new(Location {
        place: Some(located.place),
        network: located.network,
        timezone: located.timezone,
        provider: ProviderName::IpApi,
        accuracy_km: None,
        database_build: None,
    }))
}

const MISS: ProviderAnswerStatus = ProviderAnswerStatus::Miss(UnlocatedReason::NoRecord);

/// Of one provider and address the last word is kept, with its age; others stand beside it.
pub async fn the_newest_answer_is_kept(test: &TestStore) {
    let first = vec![said("8.8.8.8", ProviderName::IpApi, MISS), said("8.8.8.8", ProviderName::Ipinfo, MISS)];
    test.answers_keep(first).await.expect("kept");
    (test.advance)(HOUR);
    let second = vec![
        said("8.8.8.8", ProviderName::IpApi, MISS),
        said("8.8.8.8", ProviderName::IpApi, is_located()),
        said("2001:4860::8888", ProviderName::IpApi, MISS),
    ];
    test.answers_keep(second).await.expect("kept");
    let asked = ["2001:4860::8888", "8.8.8.8", "1.1.1.1", "8.8.8.8"].map(address).to_vec();
    let kept = test.answers_get(asked).await.expect("answers");
    let seen: Vec<_> = kept
        .iter()
        .map(|kept| (kept.address.to_string(), kept.answer.provider, &kept.answer.status))
        .collect();
    assert_eq!(
        seen,
        [
            ("8.8.8.8".to_owned(), ProviderName::IpApi, &is_located()),
            ("8.8.8.8".to_owned(), ProviderName::Ipinfo, &MISS),
            ("2001:4860::8888".to_owned(), ProviderName::IpApi, &MISS),
        ]
    );
    assert!(kept[0].age < MINUTE && kept[1].age >= HOUR, "{:?}, {:?}", kept[0].age, kept[1].age);
    assert_eq!(test.answers_get(Vec::new()).await.expect("answers"), []);
}

/// A run over many hosts keeps its answers in large batches.
pub async fn many_answers_are_kept_at_once(test: &TestStore) {
    let hosts: Vec<_> = (0..2_500).map(|n| format!("8.{}.{}.1", n / 200, n % 200)).collect();
    let answers = hosts.iter().map(|host| said(host, ProviderName::IpApi, is_located())).collect();
    test.answers_keep(answers).await.expect("kept");
    let kept = test.answers_get(hosts.iter().map(|host| address(host)).collect()).await.expect("answers");
    assert_eq!(kept.len(), hosts.len());
}

/// Answers about hosts stay, for comparing them; others are of no use after a day.
pub async fn old_answers_about_no_host_are_forgotten(test: &TestStore) {
    record(&**test, &[up("8.8.8.8")]).await;
    let hosts = ["8.8.8.8", "9.9.9.9"];
    let old = hosts.map(|host| said(host, ProviderName::IpApi, MISS)).to_vec();
    test.answers_keep(old).await.expect("kept");
    (test.advance)(DAY + HOUR);
    let young = hosts.map(|host| said(host, ProviderName::Ipinfo, MISS)).to_vec();
    test.answers_keep(young).await.expect("kept");
    while test.tidy().await.expect("housekeeping") {}
    let kept = test.answers_get(hosts.map(address).to_vec()).await.expect("answers");
    let seen: Vec<_> = kept.iter().map(|kept| (kept.address.to_string(), kept.answer.provider)).collect();
    assert_eq!(
        seen,
        [
            ("8.8.8.8".to_owned(), ProviderName::IpApi),
            ("8.8.8.8".to_owned(), ProviderName::Ipinfo),
            ("9.9.9.9".to_owned(), ProviderName::Ipinfo),
        ]
    );
}
