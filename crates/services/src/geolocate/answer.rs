//! What the providers said, as it is shown and as it is written.

use hostatlas_domain::{Address, Located, Location, LookupView, ProviderName, Timestamp};
use hostatlas_geolocation::{LocateOptions, Locator, Lookup};
use hostatlas_store::Attempt;

use tokio_util::sync::CancellationToken;

use super::{DIRECT_PATIENCE, Waiting, patience::patiently};

/// What was answered about one address, and what each provider that failed said.
#[derive(Clone, Debug, PartialEq)]
pub struct LookedUp {
    /// The answer.
    pub answer: LookupView,
    /// Provider and message, in the order of asking; only where nobody located it.
    pub failures: Vec<(ProviderName, String)>,
}

/// Asks the providers and stores nothing about any host; needs no database of hosts. `on_wait` hears of each wait for
/// quota; cancelling ends the wait, and what has no answer by then comes back as deferred.
pub async fn lookup(
    locator: &Locator,
    ips: &[Address],
    cancel: &CancellationToken,
    mut on_wait: impl FnMut(&Waiting) + Send,
) -> Vec<LookedUp> {
    let options = LocateOptions { force: false, patience: DIRECT_PATIENCE, batch_size: None };
    let lookups = patiently(locator, ips, options, cancel, &mut on_wait).await;
    let looked_up = |(ip, lookup): (&Address, Lookup)| LookedUp {
        answer: view(*ip, &lookup),
        failures: match lookup {
            Lookup::Failed { failures, .. } => failures,
            _ => Vec::new(),
        },
    };
    ips.iter().zip(lookups).map(looked_up).collect()
}

/// The answer as it is shown.
pub(crate) fn view(ip: Address, lookup: &Lookup) -> LookupView {
    match lookup {
        Lookup::Located(located) => LookupView::located(ip, &as_location(located)),
        Lookup::NotApplicable(class) => LookupView::not_applicable(ip, *class),
        Lookup::Deferred(deferral) => {
            LookupView::without_place(ip, lookup.status(), Some(deferral.why.clone()))
        }
        Lookup::Miss(reason) => {
            LookupView::without_place(ip, lookup.status(), Some(reason.slug().to_owned()))
        }
        Lookup::Failed { reason, failures } => {
            let said = said_by(failures);
            let said = if said.is_empty() { reason.label().to_owned() } else { said };
            LookupView::without_place(ip, lookup.status(), Some(said))
        }
    }
}

/// What each provider said, in the order of asking; once what one repeats when it is asked again.
pub(crate) fn said_by(failures: &[(ProviderName, String)]) -> String {
    let mut said: Vec<String> = Vec::with_capacity(failures.len());
    for (provider, message) in failures {
        let words = format!("{provider}: {message}");
        if !said.contains(&words) {
            said.push(words);
        }
    }
    said.join("; ")
}

fn as_location(located: &Located) -> Location {
    Location {
        place: Some(located.place.clone()),
        network: located.network.clone(),
        timezone: located.timezone.clone(),
        provider: located.provider,
        accuracy_km: located.accuracy_km,
        database_build: located.database_build,
    }
}

/// What to write about a host; nothing where there is nothing to say.
pub(super) fn attempt(lookup: &Lookup, build: Option<Timestamp>) -> Option<Attempt> {
    match lookup {
        Lookup::Located(located) => Some(Attempt::Located(located.clone())),
        Lookup::Miss(reason) | Lookup::Failed { reason, .. } => {
            Some(Attempt::Unlocated { reason: *reason, database_build: build })
        }
        Lookup::NotApplicable(_) | Lookup::Deferred { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::{LookupStatus, UnlocatedReason};

    use super::*;

    #[test]
    fn what_a_provider_says_twice_is_told_once() {
        let said = |provider, words: &str| (provider, words.to_owned());
        let failures = [
            said(ProviderName::Freeipapi, "503"),
            said(ProviderName::Freeipapi, "503"),
            said(ProviderName::IpApi, "503"),
        ];
        assert_eq!(said_by(&failures), "freeipapi: 503; ip-api: 503");
    }

    #[tokio::test]
    async fn without_a_database_a_lookup_says_so_and_a_private_address_is_not_asked_about() {
        let ips = ["8.8.8.8", "10.0.0.1"].map(|text| text.parse().expect("an address"));
        let views = lookup(&Locator::builder().build(), &ips, &CancellationToken::new(), |_| {}).await;
        let told: Vec<_> =
            views.iter().map(|view| (view.answer.status, view.answer.reason.as_deref())).collect();
        assert_eq!(
            told,
            [
                (LookupStatus::Failed, Some(UnlocatedReason::NoDatabase.label())),
                (LookupStatus::NotApplicable, Some("private")),
            ]
        );
    }
}
