//! What an operator may say of a provider, and what is refused of it before anybody is asked.

use std::{borrow::Cow, fmt, time::Duration};

use hostatlas_domain::{Limit, LimitUnit, LimitWindow, ProviderName};
use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use crate::online::Endpoint;

/// What is configured of a provider. The default asks it as its documentation says, without a key.
#[derive(Clone, Debug, Default)]
pub struct ProviderConfig {
    /// Takes the place of the provider's own address. May have a path, below which its own paths are asked for.
    pub base_url: Option<Url>,
    /// Key, token or licence.
    pub key: Option<SecretString>,
    /// The account that the key belongs to; only `MaxMind` tells the two apart.
    pub account_id: Option<String>,
    /// Which of a provider's products: `legacy`, `core`, `plus` or `max` of ipinfo; `v3`, `legacy` or `paid` of
    /// ipgeolocation; `geolite` or `city` of `MaxMind`. The first of each is asked unless another is named.
    pub plan: Option<String>,
    /// Take the place of the published limits that have the same names. An empty list is for a plan without limits.
    pub limits: Option<Vec<Limit>>,
}

/// A configuration with which a provider cannot be asked. Says what to change, and holds no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is none that is asked over the network by its name alone.
    #[error("`{0}` is no online provider")]
    NotOnline(ProviderName),
    /// A service that the operator describes was not described.
    #[error("`{0}` needs a description: at least its `url`, and its `fields`")]
    Undescribed(ProviderName),
    /// It answers nobody without a key.
    #[error("`{provider}` needs a key: set {variable}")]
    MissingKey {
        /// Which.
        provider: ProviderName,
        /// The environment variable that gives one.
        variable: String,
    },
    /// It wants to know the account beside the key.
    #[error("`{provider}` needs the account that its key belongs to: set {variable}")]
    MissingAccount {
        /// Which.
        provider: ProviderName,
        /// The environment variable that gives it.
        variable: String,
    },
    /// The key or account has characters that no request may have.
    #[error("the key of `{0}` has characters that no header may have")]
    InvalidKey(ProviderName),
    /// It has no such product.
    #[error("`{provider}` has no plan `{plan}`: it has {known}")]
    UnknownPlan {
        /// Which.
        provider: ProviderName,
        /// What was named.
        plan: String,
        /// What may be named.
        known: String,
    },
    /// The URL cannot be asked.
    #[error("the URL of `{provider}` {problem}")]
    Url {
        /// Whose.
        provider: ProviderName,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Everybody on the way could read the key.
    #[error("the key of `{provider}` would go to {host} in clear text: use https")]
    KeyInClearText {
        /// Whose.
        provider: ProviderName,
        /// Where to.
        host: String,
    },
    /// A limit that takes no published one's place, or cannot be kept.
    #[error("the limit `{limit}` of `{provider}` {problem}")]
    Limit {
        /// Whose.
        provider: ProviderName,
        /// Which.
        limit: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Something in the description of a service.
    #[error("`{field}` of `{provider}` {problem}")]
    Field {
        /// Whose.
        provider: ProviderName,
        /// Which key of the description.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
}

/// The key of a provider as it is sent.
#[derive(Clone)]
pub struct Key(SecretString);

impl Key {
    /// The key itself, to be written into a request.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// A header's value that holds it, marked so that nobody prints it.
    pub fn header(&self, provider: ProviderName, scheme: &str) -> Result<HeaderValue, ConfigError> {
        sensitive(provider, &format!("{scheme}{}", self.expose()))
    }

    /// Four bytes of the key's hash.
    fn account(&self) -> u32 {
        let hash = Sha256::digest(self.expose());
        u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Key")
    }
}

/// A header's value that nobody prints.
pub fn sensitive(provider: ProviderName, text: &str) -> Result<HeaderValue, ConfigError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| ConfigError::InvalidKey(provider))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The account that a key names; 0 without one.
pub fn account(key: Option<&Key>) -> u32 {
    key.map_or(0, Key::account)
}

impl ProviderConfig {
    /// The key, unless there is none or it is blank.
    pub(super) fn usable_key(&self) -> Option<Key> {
        let key = self.key.as_ref()?.expose_secret().trim();
        (!key.is_empty()).then(|| Key(SecretString::from(key)))
    }

    /// The key of a provider that answers nobody without.
    pub(super) fn required_key(&self, provider: ProviderName) -> Result<Key, ConfigError> {
        self.usable_key()
            .ok_or_else(|| ConfigError::MissingKey { provider, variable: variable(provider, "KEY") })
    }

    /// The account that the key belongs to.
    pub(super) fn required_account(&self, provider: ProviderName) -> Result<&str, ConfigError> {
        self.account_id
            .as_deref()
            .map(str::trim)
            .filter(|account| !account.is_empty())
            .ok_or_else(|| ConfigError::MissingAccount { provider, variable: variable(provider, "ACCOUNT") })
    }

    /// The position of the plan among `known`; the first without one.
    pub(super) fn plan_among(&self, provider: ProviderName, known: &[&str]) -> Result<usize, ConfigError> {
        let Some(plan) = self.plan.as_deref().map(str::trim).filter(|plan| !plan.is_empty()) else {
            return Ok(0);
        };
        known.iter().position(|name| *name == plan).ok_or_else(|| ConfigError::UnknownPlan {
            provider,
            plan: hostatlas_domain::sanitize(plan, 64),
            known: known.join(", "),
        })
    }

    /// Where to ask: what is configured, else `published`; ending in a slash.
    pub(super) fn base(&self, provider: ProviderName, published: &str) -> Result<Url, ConfigError> {
        let url = match &self.base_url {
            Some(url) => url.clone(),
            None => {
                Url::parse(published).map_err(|_| ConfigError::Url { provider, problem: "cannot be read" })?
            }
        };
        let mut url = checked_url(provider, url)?;
        if url.query().is_some() {
            return Err(ConfigError::Url { provider, problem: "must have no `?`" });
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        if self.usable_key().is_some() {
            refuse_clear_text(provider, &url)?;
        }
        Ok(url)
    }

    /// Puts the configured limits in the places of the published ones.
    pub(super) fn limit(
        &self,
        provider: ProviderName,
        mut endpoints: Vec<Endpoint>,
    ) -> Result<Vec<Endpoint>, ConfigError> {
        for given in self.limits.iter().flatten() {
            let problem =
                |problem: String| ConfigError::Limit { provider, limit: given.name.to_string(), problem };
            check_limit(given).map_err(|what| problem(what.to_owned()))?;
            let known = endpoints.iter().flat_map(|endpoint| &endpoint.limits).map(|limit| &*limit.name);
            if !known.clone().any(|name| name == given.name) {
                let known: Vec<&str> = known.collect();
                return Err(problem(format!("is none that it has: {}", known.join(", "))));
            }
            for limit in endpoints.iter_mut().flat_map(|endpoint| &mut endpoint.limits) {
                if limit.name == given.name {
                    limit.clone_from(given);
                }
            }
        }
        if self.limits.as_ref().is_some_and(Vec::is_empty) {
            for endpoint in &mut endpoints {
                endpoint.limits.clear();
            }
        }
        Ok(endpoints)
    }
}

/// What makes a limit one that can be kept.
pub fn check_limit(limit: &Limit) -> Result<(), &'static str> {
    match limit.window {
        _ if limit.permits == 0 => Err("allows nothing: leave the provider out instead"),
        LimitWindow::Rolling(window) if window.is_zero() => Err("has a window without length"),
        _ => Ok(()),
    }
}

/// A URL that may be asked at all.
pub fn checked_url(provider: ProviderName, mut url: Url) -> Result<Url, ConfigError> {
    let problem = if !matches!(url.scheme(), "http" | "https") {
        Some("must begin with https:// or http://")
    } else if !url.username().is_empty() || url.password().is_some() {
        Some("must have no user or password: a key has its own setting")
    } else if url.host().is_none() {
        Some("names no host")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(ConfigError::Url { provider, problem });
    }
    url.set_fragment(None);
    Ok(url)
}

/// A key goes over clear text to this machine only.
pub fn refuse_clear_text(provider: ProviderName, url: &Url) -> Result<(), ConfigError> {
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() == "https" || here {
        return Ok(());
    }
    Err(ConfigError::KeyInClearText { provider, host: url.host_str().unwrap_or_default().to_owned() })
}

/// The environment variable of one of a provider's secrets.
pub fn variable(provider: ProviderName, what: &str) -> String {
    match (provider, what) {
        (ProviderName::Ipinfo | ProviderName::IpinfoLite, "KEY") => "IPINFO_TOKEN".to_owned(),
        (ProviderName::Ipgeolocation, "KEY") => "IPGEOLOCATION_API_KEY".to_owned(),
        _ => format!("HOSTATLAS_PROVIDER_{}_{what}", provider.name().to_ascii_uppercase().replace('-', "_")),
    }
}

/// A limit on what is asked in a minute, from the first call on.
pub fn a_minute(name: &'static str, permits: u32, spacing: Duration) -> Limit {
    let window = LimitWindow::Rolling(Duration::from_mins(1));
    Limit { name: Cow::Borrowed(name), unit: LimitUnit::Calls, permits, window, spacing }
}

/// A limit on the addresses of a calendar day or month.
pub fn addresses(name: &'static str, permits: u32, window: LimitWindow, spacing: Duration) -> Limit {
    Limit { name: Cow::Borrowed(name), unit: LimitUnit::Addresses, permits, window, spacing }
}
