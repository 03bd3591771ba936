use hostatlas_domain::{LookupCost, ProviderStatus, ThirdParty};

use crate::format::{counted, grouped};

/// What a lookup sends to whom, said before it is sent: `Asks ip-api (third party, clear text): 1 of 1,432 left`. `None`
/// where no online provider is set up.
pub fn cost_words(cost: &LookupCost, providers: &[ProviderStatus]) -> Option<String> {
    let (first, others) = cost.third_parties.split_first()?;
    if cost.online == 0 {
        return Some("Nothing is sent: it is answered from this machine.".to_owned());
    }
    let some = if cost.exact { "" } else { "at least " };
    let who =
        std::iter::once(named(first)).chain(others.iter().map(named)).collect::<Vec<_>>().join(", then ");
    let what = match (cost.hosts, cost.online) {
        (1, _) => String::new(),
        (_, online) => format!(" about {some}{}", counted(online, "host", "hosts")),
    };
    let left = left(providers, &first.provider);
    let left =
        left.map(|left| format!(": {} of {} left", grouped(cost.online), grouped(left))).unwrap_or_default();
    Some(format!("Asks {who}{what}{left}"))
}

/// The same for two buttons, one of which goes past the cache; said once where it is the same.
pub fn costs_words(again: &LookupCost, forced: &LookupCost, providers: &[ProviderStatus]) -> Option<String> {
    let (again, forced) = (cost_words(again, providers)?, cost_words(forced, providers)?);
    if again == forced { Some(again) } else { Some(format!("Re-geolocate: {again} Force refresh: {forced}")) }
}

/// `ip-api (third party, clear text)`
fn named(party: &ThirdParty) -> String {
    let clear = if party.clear_text { ", clear text" } else { "" };
    format!("{} (third party{clear})", party.provider)
}

/// How many addresses or calls a provider still allows, by its tightest limit; `None` where it has none.
pub fn left(providers: &[ProviderStatus], name: &str) -> Option<u64> {
    let provider = providers.iter().find(|provider| provider.name == name)?;
    provider.limits.iter().map(|limit| u64::from(limit.left)).min()
}

#[cfg(test)]
mod tests {
    use hostatlas_domain::LimitStatus;

    use super::*;

    fn ip_api(left: u32) -> ProviderStatus {
        let limit = LimitStatus {
            name: "a minute".to_owned(),
            permits: 45,
            left,
            resets_at: None,
            closed_until: None,
        };
        ProviderStatus { name: "ip-api".to_owned(), enabled: true, limits: vec![limit], ..empty() }
    }

    fn empty() -> ProviderStatus {
        serde_json::from_str(
            r#"{"name":"","enabled":false,"position":0,"third_party":null,"clear_text":false,"disabled_because":null,
                "breaker":"closed","breaker_until":null,"limits":[],"calls":0,"addresses_sent":0,"located":0,
                "missed":0,"success_percent":null,"p50_ms":null,"p95_ms":null,"last_error":null,
                "last_error_at":null,"last_call_at":null,"terms":null,"database_build":null}"#,
        )
        .expect("a provider")
    }

    fn cost(hosts: u64, online: u64, exact: bool) -> LookupCost {
        let party =
            ThirdParty { provider: "ip-api".to_owned(), host: "ip-api.com".to_owned(), clear_text: true };
        LookupCost { hosts, online, exact, third_parties: vec![party] }
    }

    #[test]
    fn what_is_sent_is_said_with_who_sees_it_and_what_is_left() {
        let said = |cost| cost_words(&cost, &[ip_api(41)]);
        assert_eq!(
            said(cost(1, 1, true)).as_deref(),
            Some("Asks ip-api (third party, clear text): 1 of 41 left")
        );
        assert_eq!(
            said(cost(5_000, 1_200, false)).as_deref(),
            Some("Asks ip-api (third party, clear text) about at least 1,200\u{a0}hosts: 1,200 of 41 left")
        );
        assert!(said(cost(1, 0, true)).is_some_and(|words| words.starts_with("Nothing is sent")));
        let both = costs_words(&cost(1, 0, true), &cost(1, 1, true), &[ip_api(41)]);
        assert!(both.is_some_and(|words| words.contains("machine. Force refresh: Asks ip-api")));
        assert_eq!(said(LookupCost::default()), None);
    }
}
