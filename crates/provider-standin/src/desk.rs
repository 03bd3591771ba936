use std::{collections::HashSet, net::IpAddr, time::Duration};

use hostatlas_domain::{LimitUnit, LimitWindow, ProviderName, Timestamp};
use serde::Serialize;

use crate::{
    fault::Fault,
    settings::{Settings, quotas},
};

/// What one provider saw and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Requests, of every kind.
    pub requests: u64,
    /// Those about more than one address.
    pub batches: u64,
    /// Addresses that they asked about, each as often as it was; also where the answer never arrived.
    pub addresses_asked: u64,
    /// Addresses in answers that were sent whole and true, also those that it does not know.
    pub addresses_answered: u64,
    /// The same, each address once.
    pub distinct_addresses: u64,
    /// Requests refused for want of quota, or for a ban; not those that a fault refused.
    pub refusals: u64,
    /// Requests to a window that was closed already, or while banned: what providers ban for.
    pub violations: u64,
    /// Requests that a fault answered.
    pub faulted: u64,
    /// Requests that ended with 500 by the error rate, or without an answer while the provider was down.
    pub errors: u64,
    /// Requests whose key was refused, and that were no request of this provider.
    pub rejected: u64,
    /// Addresses that were asked about and are not public. Nobody should ever be asked about those.
    pub special_addresses: u64,
    /// Whether it has banned its client.
    pub banned: bool,
}

/// One provider's counters.
#[derive(Default)]
pub(crate) struct Desk {
    pub(crate) statistics: Statistics,
    pub(crate) fault: Option<Fault>,
    /// For how many more requests the fault stays; `None` for ever.
    pub(crate) fault_requests: Option<u32>,
    pub(crate) down: bool,
    windows: [Window; 2],
    distinct: HashSet<IpAddr>,
}

#[derive(Clone, Copy, Default)]
struct Window {
    ends_at: Timestamp,
    used: u32,
    violations: u32,
}

/// Whether a request is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is, and so many more until the window ends; `None` without a limit.
    Admitted(Option<(u32, Duration)>),
    /// Not before the window ends.
    Closed(Duration),
    /// Not any more.
    Banned,
}

impl Desk {
    /// Counts a request for `addresses` addresses; `batch` where it is one.
    pub(crate) fn admit(
        &mut self,
        provider: ProviderName,
        settings: &Settings,
        batch: bool,
        addresses: u32,
        now: Timestamp,
    ) -> Admission {
        if settings.unlimited {
            return Admission::Admitted(None);
        }
        if self.statistics.banned {
            self.refuse(true);
            return Admission::Banned;
        }
        let quotas = quotas(provider);
        let position = usize::from(batch && quotas.len() > 1);
        let Some(quota) = quotas.get(position) else { return Admission::Admitted(None) };
        let permits = settings.permits.unwrap_or(quota.permits);
        let window = &mut self.windows[position];
        if now >= window.ends_at {
            let length = settings.window.map_or(quota.window, LimitWindow::Rolling);
            *window = Window { ends_at: end(length, now), used: 0, violations: 0 };
        }
        let cost = if quota.unit == LimitUnit::Calls { 1 } else { addresses };
        let resets_in = window.ends_at.since(now);
        let closed = window.used >= permits;
        if closed || window.used.saturating_add(cost) > permits {
            window.violations += u32::from(closed);
            let banned = settings.ban_after.is_some_and(|most| window.violations > most);
            self.statistics.banned |= banned;
            self.refuse(closed);
            return if banned { Admission::Banned } else { Admission::Closed(resets_in) };
        }
        window.used += cost;
        Admission::Admitted(Some((permits - window.used, resets_in)))
    }

    fn refuse(&mut self, violation: bool) {
        self.statistics.refusals += 1;
        self.statistics.violations += u64::from(violation);
    }

    /// Notes that `addresses` were answered.
    pub(crate) fn answered(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            self.statistics.addresses_answered += 1;
            if self.distinct.insert(address) {
                self.statistics.distinct_addresses += 1;
            }
        }
    }

    /// The fault of the next request, which uses it up by one.
    pub(crate) fn next_fault(&mut self) -> Option<Fault> {
        let fault = self.fault?;
        match &mut self.fault_requests {
            None => {}
            Some(0) => {
                self.fault = None;
                return None;
            }
            Some(left) => *left -= 1,
        }
        Some(fault)
    }
}

/// When a window ends whose first request came `at`.
fn end(window: LimitWindow, at: Timestamp) -> Timestamp {
    match window {
        LimitWindow::Rolling(length) => at.plus(length),
        LimitWindow::Day => at.next_utc_day(),
        LimitWindow::Month => at.next_utc_month(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000_000_000);

    fn admit(desk: &mut Desk, provider: ProviderName, batch: bool, after: u64) -> Admission {
        desk.admit(provider, &Settings::default(), batch, 1, START.plus(Duration::from_secs(after)))
    }

    #[test]
    fn a_window_begins_with_its_first_request_and_closes_when_used_up() {
        let mut desk = Desk::default();

        let first = admit(&mut desk, ProviderName::IpApi, true, 0);
        for _ in 0..14 {
            admit(&mut desk, ProviderName::IpApi, true, 30);
        }
        let over = admit(&mut desk, ProviderName::IpApi, true, 59);
        let single = admit(&mut desk, ProviderName::IpApi, false, 59);
        let next = admit(&mut desk, ProviderName::IpApi, true, 60);

        let minute = Duration::from_mins(1);
        assert_eq!(first, Admission::Admitted(Some((14, minute))));
        assert_eq!(over, Admission::Closed(Duration::from_secs(1)));
        assert_eq!(single, Admission::Admitted(Some((44, minute))));
        assert_eq!(next, Admission::Admitted(Some((14, minute))));
        assert_eq!((desk.statistics.refusals, desk.statistics.violations), (1, 1));
    }

    #[test]
    fn who_does_not_stop_is_banned_for_good() {
        let mut desk = Desk::default();
        let answers: Vec<_> = (0..23).map(|_| admit(&mut desk, ProviderName::Ipwhois, false, 0)).collect();

        assert!(answers[1..21].iter().all(|answer| matches!(answer, Admission::Closed(_))));
        assert_eq!(answers[21..], [Admission::Banned, Admission::Banned]);
        assert_eq!(admit(&mut desk, ProviderName::Ipwhois, false, 1_000), Admission::Banned);
        assert_eq!(desk.statistics.violations, 23);
    }

    #[test]
    fn a_limit_of_addresses_refuses_a_batch_that_does_not_fit_without_calling_it_a_violation() {
        let mut desk = Desk::default();
        let settings = Settings { permits: Some(150), ..Settings::default() };
        let mut ask = |addresses| desk.admit(ProviderName::Ipinfo, &settings, true, addresses, START);

        let answers =
            [ask(100), ask(100), ask(50), ask(1)].map(|answer| matches!(answer, Admission::Admitted(_)));

        assert_eq!(answers, [true, false, true, false]);
        assert_eq!((desk.statistics.refusals, desk.statistics.violations), (2, 1));
    }

    #[test]
    fn a_fault_for_two_requests_is_gone_at_the_third() {
        let mut desk = Desk { fault: Some(Fault::EmptyBody), fault_requests: Some(2), ..Desk::default() };

        let faults = [(); 3].map(|()| desk.next_fault());

        assert_eq!(faults, [Some(Fault::EmptyBody), Some(Fault::EmptyBody), None]);
    }
}
