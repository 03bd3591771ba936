use std::time::Duration;

use hostatlas_domain::{BreakerState, ProviderName};
use secrecy::SecretString;
use tokio::time::Instant;

use super::{Endpoint, OnlineProvider, ProviderConfig, member::Member, provider};
use crate::Credit;

/// What an online provider is, and how it does in this process.
#[derive(Clone, Debug)]
pub struct ProviderInfo {
    /// Who.
    pub name: ProviderName,
    /// The third party that sees the addresses: the host that is called.
    pub third_party: Option<String>,
    /// Whether addresses travel unencrypted.
    pub clear_text: bool,
    /// What a person should know of its terms.
    pub terms: &'static str,
    /// What its terms ask those to say who show its answers.
    pub credit: Option<Credit>,
    /// The ways to ask it, with their limits.
    pub endpoints: Vec<Endpoint>,
    /// The account whose quota is used, as the ledger knows it.
    pub account: u32,
    /// Why it is not asked any more: its key was refused.
    pub disabled_because: Option<String>,
    /// Its circuit breaker in this process, and for how long it stays open.
    pub breaker: (BreakerState, Duration),
}

impl ProviderInfo {
    fn of(provider: &dyn OnlineProvider) -> Self {
        let url = provider.base_url();
        Self {
            name: provider.name(),
            third_party: url.host_str().map(ToOwned::to_owned),
            clear_text: url.scheme() != "https",
            terms: provider.terms(),
            credit: provider.credit(),
            endpoints: provider.endpoints().to_vec(),
            account: provider.account(),
            disabled_because: None,
            breaker: (BreakerState::Closed, Duration::ZERO),
        }
    }

    pub(super) fn of_member(member: &Member) -> Self {
        Self {
            disabled_because: member.disabled().map(ToOwned::to_owned),
            breaker: member.breaker.state(Instant::now()),
            ..Self::of(&*member.provider)
        }
    }
}

/// A provider as it would be asked if it were configured with no more than a key; `None` for one that is no online
/// provider, or that an operator has to describe.
pub fn published(name: ProviderName) -> Option<ProviderInfo> {
    let placeholder = || Some(SecretString::from("none"));
    let with_key =
        ProviderConfig { key: placeholder(), account_id: Some("1".to_owned()), ..ProviderConfig::default() };
    let made = provider(name, &ProviderConfig::default()).or_else(|_| provider(name, &with_key)).ok()?;
    Some(ProviderInfo { account: 0, ..ProviderInfo::of(&*made) })
}
