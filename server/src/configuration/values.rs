//! What the values of settings may be. A parser that refuses answers `reason`, or `reason`, a line break and a hint.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use hostatlas_domain::ProviderName;

use super::nearest;

/// Settings count ages in days.
pub const SECONDS_OF_A_DAY: u64 = 86_400;
/// A century: longer ages are a slip of the finger.
const LONGEST_AGE_DAYS: u64 = 36_500;
/// More lookups at once than this help no provider.
const MOST_WORKERS: usize = 1_000;

/// A URL as it may be shown: what stands between `//` and `@` may be a password.
pub fn without_password(value: &str) -> String {
    match (value.find("://"), value.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 < at => format!("{}***{}", &value[..scheme + 3], &value[at..]),
        _ => value.to_owned(),
    }
}

pub fn database_file(value: &str) -> Result<PathBuf, String> {
    if value.starts_with("postgres://") || value.starts_with("postgresql://") {
        return Err(
            "PostgreSQL support comes with a later version\nuse sqlite://FILE, as in sqlite://hostatlas.db"
                .into(),
        );
    }
    let file = match value.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if value.contains("://") => {
            return Err(format!(
                "`{}` is no database that hostatlas knows\nuse sqlite://FILE",
                without_password(value)
            ));
        }
        None => value,
    };
    if file.is_empty() || file.contains('?') || file == ":memory:" {
        return Err(format!("`{value}` names no file\nuse sqlite://FILE, as in sqlite://hostatlas.db"));
    }
    Ok(PathBuf::from(file))
}

pub fn loopback(value: &str) -> Result<SocketAddr, String> {
    let malformed = || format!("`{value}` is no address and port\nwrite it as 127.0.0.1:3000");
    let address = match value.strip_prefix("localhost:") {
        Some(port) => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().map_err(|_| malformed())?)
        }
        None => value.parse::<SocketAddr>().map_err(|_| malformed())?,
    };
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "`{value}` would be reachable from other machines, and hostatlas has no accounts yet: whoever reaches it may \
         change everything\nlisten on 127.0.0.1 and reach it through `ssh -L 3000:127.0.0.1:3000 HOST`, or through a \
         proxy that asks for a password (then name its host in HOSTATLAS_ALLOWED_HOSTS)"
    ))
}

pub fn host_name(value: &str) -> Result<String, String> {
    let lowered = value.to_lowercase();
    let sound = !lowered.is_empty()
        && lowered.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter));
    if !sound || lowered.contains("//") {
        return Err(format!("`{value}` is no host name\nwrite names without scheme and port: atlas.example"));
    }
    Ok(crate::http::host_of(&lowered).to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the other parsers may fail")]
pub fn text(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "the other parsers may fail")]
pub fn path(value: &str) -> Result<PathBuf, String> {
    Ok(PathBuf::from(value))
}

pub fn provider(value: &str) -> Result<ProviderName, String> {
    let names = || ProviderName::ALL.map(ProviderName::name);
    let provider = ProviderName::from_str(value).map_err(|error| match nearest(value, names()) {
        Some(name) => format!("{error}\ndid you mean `{name}`?"),
        None => format!("{error}\nknown ones are {}", names().join(", ")),
    })?;
    if provider != ProviderName::Mmdb {
        return Err(format!("the online provider `{provider}` comes with a later version\nuse mmdb"));
    }
    Ok(provider)
}

pub fn days(value: &str) -> Result<Duration, String> {
    match value.parse::<u64>() {
        Ok(days) if days <= LONGEST_AGE_DAYS => Ok(Duration::from_secs(days * SECONDS_OF_A_DAY)),
        _ => Err(format!("`{value}` is no number of days from 0 to {LONGEST_AGE_DAYS}")),
    }
}

pub fn workers(value: &str) -> Result<NonZeroUsize, String> {
    match value.parse::<NonZeroUsize>() {
        Ok(workers) if workers.get() <= MOST_WORKERS => Ok(workers),
        _ => Err(format!("`{value}` is no number from 1 to {MOST_WORKERS}")),
    }
}

pub fn range(value: &str) -> Result<ipnet::IpNet, String> {
    let address = || value.parse::<IpAddr>().map(ipnet::IpNet::from);
    value
        .parse::<ipnet::IpNet>()
        .or_else(|_| address())
        .map_err(|_| format!("`{value}` is no range\nwrite ranges as 192.0.2.0/24"))
}

pub fn provider_url(value: &str) -> Result<url::Url, String> {
    let wrong =
        || "it is no web address\nwrite it as https://HOST/PATH, without user name and password".to_owned();
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    let sound =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if sound { Ok(url) } else { Err(wrong()) }
}

pub fn truth(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(format!("`{value}` is neither 1 nor 0")),
    }
}
