use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use futures::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use hostatlas_domain::ProviderName;
use hostatlas_geolocation::{
    LocateOptions, Locator,
    online::{HttpTransport, OnlineProvider},
};
use hostatlas_provider_standin::{Fault, Stage, StandIn};
use serde_json::json;

use crate::support::{
    Direct, HEALTHY, Mode, OPTIONS, PROVIDERS, SEED, Verdict, addresses, eased, is_detectable, judge,
    long_form, panics, print_report, stand_in, transport,
};

/// Faults under test at once, most of which do nothing but wait.
const AT_ONCE: usize = 12;
/// Hosts of each case in short form; more than a provider's answers fit in one batch is not needed to see a fault.
const FEW_HOSTS: u32 = 3;

/// What the cases of one fault came to.
#[derive(Default)]
struct Report {
    cases: u64,
    hosts: u64,
    verdicts: BTreeMap<&'static str, u64>,
    wrong: Vec<String>,
    /// Faults under which a known address was said to be unknown.
    missed: BTreeSet<String>,
    /// Addresses that the healthy provider should have located.
    unrescued: Vec<String>,
    followed: u64,
}

impl Report {
    fn merge(mut self, other: Self) -> Self {
        self.cases += other.cases;
        self.hosts += other.hosts;
        self.followed += other.followed;
        for (verdict, count) in other.verdicts {
            *self.verdicts.entry(verdict).or_default() += count;
        }
        self.wrong.extend(other.wrong);
        self.missed.extend(other.missed);
        self.unrescued.extend(other.unrescued);
        self
    }

    fn count(&mut self, case: &str, verdict: Verdict) {
        self.hosts += 1;
        let name = match verdict {
            Verdict::Located => "located",
            Verdict::UnknownIndeed => "unknown",
            Verdict::Missed => {
                self.missed.insert(case.to_owned());
                "missed"
            }
            Verdict::Failed => "failed",
            Verdict::Deferred => "deferred",
            Verdict::Wrong(what) => {
                self.wrong.push(format!("{case}: {what}"));
                "wrong"
            }
        };
        *self.verdicts.entry(name).or_default() += 1;
    }

    fn finish(self, name: &str, seconds: f64) {
        if long_form().is_some() {
            let report = json!({
                "report": name,
                "seed": SEED,
                "faults": Fault::ALL.len(),
                "cases": self.cases,
                "hosts": self.hosts,
                "outcomes": self.verdicts,
                "wrong": self.wrong.len(),
                "not_rescued": self.unrescued.len(),
                "redirects_followed": self.followed,
                "panics": panics().load(Ordering::Relaxed),
                "misses_under": self.missed,
                "seconds": seconds,
            });
            print_report(&report);
        }
        assert!(self.wrong.is_empty(), "{} wrong: {:#?}", self.wrong.len(), self.wrong);
        assert!(self.unrescued.is_empty(), "{} lost: {:#?}", self.unrescued.len(), self.unrescued);
        let lies =
            self.missed.iter().filter(|case| !case.split(' ').next().is_some_and(may_pass_for_unknown));
        assert_eq!(
            lies.collect::<Vec<_>>(),
            Vec::<&String>::new(),
            "said to be unknown without a reason to think so"
        );
        assert_eq!(self.followed, 0, "redirects are not followed");
        assert_eq!(panics().load(Ordering::Relaxed), 0);
    }
}

/// Faults whose answers read as "not known": 0/0, a country that is none, and failures that name no address, which
/// may be another address's.
fn may_pass_for_unknown(slug: &str) -> bool {
    [Fault::NullIsland, Fault::UnknownCountry, Fault::OtherAddress, Fault::BatchReordered]
        .iter()
        .any(|fault| fault.slug() == slug)
}

/// Those that make everybody wait first, so that the others run meanwhile.
fn faults() -> Vec<Fault> {
    let mut faults = Fault::ALL.to_vec();
    faults.sort_by_key(|fault| !fault.needs_patience());
    faults
}

/// One provider has the fault and is asked alone, then beside one that works.
async fn one_case(
    stand_in: &Arc<StandIn>,
    transport: &Arc<HttpTransport>,
    fault: Fault,
    name: ProviderName,
    mode: Mode,
    (first, count): (u32, u32),
) -> Report {
    let mut report = Report::default();
    let faulty = || eased(name, &stand_in.base_url_under(name, fault), mode);
    let Some(provider) = faulty() else { return report };
    let case = format!("{fault} {name} {mode:?}");
    report.cases += 2;
    let hosts = addresses(first, count);
    let alone = locator(transport, [provider]);
    let healthy = eased(HEALTHY, &stand_in.base_url(HEALTHY), mode).expect("it has both");
    let direct = Arc::new(Direct(Arc::clone(stand_in)));
    let beside = faulty().into_iter().fold(Locator::builder(), |builder, provider| {
        builder.online_over(provider, Arc::clone(transport) as _)
    });
    let beside = beside.online_over(healthy, direct).build();
    // Somebody can be asked at once; a busy machine must not make that look like a wait.
    let patient = LocateOptions { patience: Duration::from_secs(5), ..OPTIONS };
    let (alone, beside) = join(alone.locate_with(&hosts, OPTIONS), beside.locate_with(&hosts, patient)).await;
    let detectable = is_detectable(fault, name);
    for (address, lookup) in hosts.iter().zip(&beside) {
        let known = stand_in.city(address.ip()).is_some();
        if known && detectable && judge(stand_in, *address, lookup) != Verdict::Located {
            report.unrescued.push(format!("{case}: {address} {lookup:?}"));
        }
    }
    for (address, lookup) in hosts.iter().zip(&alone).chain(hosts.iter().zip(&beside)) {
        let verdict = judge(stand_in, *address, lookup);
        if detectable || !matches!(verdict, Verdict::Wrong(_)) {
            report.count(&case, verdict);
        }
    }
    report
}

fn locator(
    transport: &Arc<HttpTransport>,
    providers: impl IntoIterator<Item = Arc<dyn OnlineProvider>>,
) -> Locator {
    let builder = Locator::builder();
    providers
        .into_iter()
        .fold(builder, |builder, provider| builder.online_over(provider, Arc::clone(transport) as _))
        .build()
}

/// Every provider under one fault, one after the other in its own locator.
async fn one_at_a_time(transport: &Arc<HttpTransport>, fault: Fault, position: usize, count: u32) -> Report {
    let stand_in = Arc::new(stand_in().await);
    for name in PROVIDERS {
        stand_in.set_fault(name, fault);
    }
    let first = u32::try_from(position).expect("few faults") * 10_000;
    let cases = PROVIDERS.iter().flat_map(|name| [Mode::Single, Mode::Batch].map(|mode| (*name, mode)));
    let cases = cases.map(|(name, mode)| one_case(&stand_in, transport, fault, name, mode, (first, count)));
    let report = join_all(cases).await.into_iter().fold(Report::default(), Report::merge);
    Report { followed: stand_in.trapped(), ..report }
}

#[tokio::test]
async fn an_address_is_never_misplaced_or_lost_by_any_fault_of_any_one_provider() {
    panics();
    let began = Instant::now();
    let transport = transport();
    // Twice for each of 14 endpoints of 8 providers.
    let cases = u32::try_from(Fault::ALL.len() * 28).expect("few cases");
    let count = long_form().map_or(FEW_HOSTS, |hosts| hosts.div_ceil(cases).max(FEW_HOSTS));
    let reports = stream::iter(faults().into_iter().enumerate())
        .map(|(position, fault)| one_at_a_time(&transport, fault, position, count))
        .buffer_unordered(AT_ONCE);
    let report = reports.fold(Report::default(), async |sum, report| sum.merge(report)).await;

    report.finish("one provider at a time", began.elapsed().as_secs_f64());
}

/// All providers have the fault at once.
async fn all_at_once(transport: &Arc<HttpTransport>, fault: Fault, position: usize, count: u32) -> Report {
    let stand_in = stand_in().await;
    for name in PROVIDERS {
        stand_in.set_fault(name, fault);
    }
    let providers = PROVIDERS
        .into_iter()
        .filter(|name| is_detectable(fault, *name))
        .filter_map(|name| eased(name, &stand_in.base_url_under(name, fault), Mode::Both));
    let locator = locator(transport, providers);
    let first = 5_000_000 + u32::try_from(position).expect("few faults") * 10_000;
    let hosts = addresses(first, count);
    let mut report = Report { cases: 1, ..Report::default() };
    for (address, lookup) in hosts.iter().zip(locator.locate_with(&hosts, OPTIONS).await) {
        report.count(&format!("{fault} of all"), judge(&stand_in, *address, &lookup));
    }
    Report { followed: stand_in.trapped(), ..report }
}

#[tokio::test]
async fn an_address_is_never_misplaced_when_all_providers_have_the_same_fault() {
    panics();
    let began = Instant::now();
    let transport = transport();
    let count =
        long_form().map_or(FEW_HOSTS, |hosts| hosts.div_ceil(u32::try_from(Fault::ALL.len()).expect("few")));
    // Waiting for eight providers that never answer takes more than a minute: only in long form.
    let chosen = faults().into_iter().filter(|fault| long_form().is_some() || !fault.needs_patience());
    let reports = stream::iter(chosen.enumerate())
        .map(|(position, fault)| all_at_once(&transport, fault, position, count))
        .buffer_unordered(AT_ONCE);
    let report = reports.fold(Report::default(), async |sum, report| sum.merge(report)).await;

    report.finish("all providers at once", began.elapsed().as_secs_f64());
}

#[tokio::test]
async fn without_a_fault_every_address_is_located_by_every_provider_alone() {
    let stand_in = stand_in().await;
    let transport = transport();
    let hosts = addresses(9_000_000, 40);
    for name in PROVIDERS {
        for mode in [Mode::Single, Mode::Batch] {
            let Some(provider) = eased(name, &stand_in.base_url(name), mode) else { continue };
            let lookups = locator(&transport, [provider]).locate_with(&hosts, OPTIONS).await;
            for (address, lookup) in hosts.iter().zip(lookups) {
                let verdict = judge(&stand_in, *address, &lookup);
                let known = stand_in.city(address.ip()).is_some();
                let expected = if known { Verdict::Located } else { Verdict::UnknownIndeed };
                assert_eq!(verdict, expected, "{name} {mode:?} {lookup:?}");
            }
        }
    }
}

#[test]
fn the_matrix_has_at_least_48_faults_at_every_stage() {
    let stages = [Stage::Connection, Stage::Transport, Stage::Response, Stage::Answer, Stage::Quota];
    let counts = stages.map(|stage| Fault::ALL.iter().filter(|fault| fault.stage() == stage).count());

    assert!(Fault::ALL.len() >= 48);
    assert!(counts.iter().all(|count| *count >= 5), "{counts:?}");
}
