//! What the values of settings may be. A parser that refuses answers `reason`, or `reason`, a line break and a hint.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use hostatlas_domain::{InvalidLimit, Limit, ProviderName, UnknownProvider};
use secrecy::SecretString;

use super::{Database, nearest};
use crate::numbers::{read_decimal, read_whole};

/// Settings count ages in days.
pub const SECONDS_OF_A_DAY: u64 = 86_400;
/// A century: longer ages are a slip of the finger.
pub const LONGEST_AGE_DAYS: u64 = 36_500;
/// A year: an answer that is kept longer is no cache but a copy.
const LONGEST_CACHE_HOURS: f64 = 8_760.0;
/// More lookups at once than this help no provider.
pub const MOST_WORKERS: usize = 1_000;

/// A URL as it may be shown: what stands between `//` and `@` may be a password.
pub fn without_password(value: &str) -> String {
    let (address, parameters) = match value.split_once('?') {
        // A parameter's value may be one, too, and a mistyped name does not make it less of a secret.
        Some((address, _)) if is_postgres(value) => (address, "?***"),
        _ => (value, ""),
    };
    match (address.find("://"), address.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 < at => {
            format!("{}***{}{parameters}", &address[..scheme + 3], &address[at..])
        }
        _ => format!("{address}{parameters}"),
    }
}

fn is_postgres(value: &str) -> bool {
    value.starts_with("postgres://") || value.starts_with("postgresql://")
}

/// The URL of a server, as it is: the store reads it, and knows what can be in it.
pub fn database_server(value: &str) -> Result<String, String> {
    if is_postgres(value) {
        return Ok(value.to_owned());
    }
    Err(format!(
        "`{}` is not the URL of a PostgreSQL database\nuse postgres://USER@HOST:5432/DATABASE",
        without_password(value)
    ))
}

pub fn database(value: &str) -> Result<Database, String> {
    if is_postgres(value) {
        return database_server(value).map(Database::Server);
    }
    let file = match value.strip_prefix("sqlite:") {
        Some(rest) => rest.strip_prefix("//").unwrap_or(rest),
        None if value.contains("://") => {
            return Err(format!(
                "`{}` is not a database that hostatlas knows\nuse sqlite://FILE or postgres://USER@HOST/DATABASE",
                without_password(value)
            ));
        }
        None => value,
    };
    if file.is_empty() || file.contains('?') || file == ":memory:" {
        return Err(format!(
            "`{value}` does not name a file\nuse sqlite://FILE, as in sqlite://hostatlas.db"
        ));
    }
    Ok(Database::File(PathBuf::from(file)))
}

pub fn loopback(value: &str) -> Result<SocketAddr, String> {
    let malformed = || format!("`{value}` is not an address with a port\nwrite it as 127.0.0.1:3000");
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
        return Err(format!(
            "`{value}` is not a host name\nwrite names without scheme and port: atlas.example"
        ));
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
    let names = || ProviderName::ASKED.map(ProviderName::name);
    let known = ProviderName::from_str(value).ok().filter(|provider| ProviderName::ASKED.contains(provider));
    known.ok_or_else(|| {
        let error = UnknownProvider(hostatlas_domain::sanitize(value, 64));
        match nearest(value, names()) {
            Some(name) => format!("{error}\ndid you mean `{name}`?"),
            None => format!("{error}\nknown ones are {}", names().join(", ")),
        }
    })
}

/// Hours, as in `24` or `0.5`.
pub fn hours(value: &str) -> Result<Duration, String> {
    let hours = read_decimal(value, &(0.0..=LONGEST_CACHE_HOURS)).map_err(|wanted| is_not(value, &wanted))?;
    Ok(Duration::from_secs_f64(hours * 3600.0))
}

/// One limit of a provider, as in `45/min`.
pub fn limit(value: &str) -> Result<Limit, String> {
    value.parse().map_err(|error| format!("{error}\n{}", InvalidLimit::HINT))
}

/// A secret: kept where neither a message nor a debug form shows it.
#[expect(clippy::unnecessary_wraps, reason = "the other parsers may fail")]
pub fn secret(value: &str) -> Result<SecretString, String> {
    Ok(SecretString::from(value.trim().to_owned()))
}

pub fn days(value: &str) -> Result<Duration, String> {
    let days = read_whole(value, &(0..=LONGEST_AGE_DAYS)).map_err(|wanted| is_not(value, &wanted))?;
    Ok(Duration::from_secs(days * SECONDS_OF_A_DAY))
}

pub fn workers(value: &str) -> Result<NonZeroUsize, String> {
    let most = NonZeroUsize::new(MOST_WORKERS).unwrap_or(NonZeroUsize::MAX);
    read_whole(value, &(NonZeroUsize::MIN..=most)).map_err(|wanted| is_not(value, &wanted))
}

fn is_not(value: &str, wanted: &str) -> String {
    format!("`{value}` is not {wanted}")
}

pub fn range(value: &str) -> Result<ipnet::IpNet, String> {
    let address = || value.parse::<IpAddr>().map(ipnet::IpNet::from);
    value
        .parse::<ipnet::IpNet>()
        .or_else(|_| address())
        .map_err(|_| format!("`{value}` is not a range of addresses\nwrite ranges as 192.0.2.0/24"))
}

pub fn provider_url(value: &str) -> Result<url::Url, String> {
    let wrong = || {
        "it is not a web address\nwrite it as https://HOST/PATH, without user name and password".to_owned()
    };
    let url = url::Url::parse(value).map_err(|_| wrong())?;
    let sound =
        matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    if sound { Ok(url) } else { Err(wrong()) }
}

/// The URL of a provider that the operator describes: `{ip}` stands for the address.
pub fn url_template(value: &str) -> Result<String, String> {
    if !value.contains("{ip}") {
        return Err("it does not say where the address stands\nwrite it as https://HOST/PATH/{ip}".to_owned());
    }
    provider_url(&value.replace("{ip}", "192.0.2.1")).map(|_| value.to_owned())
}

pub fn truth(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(format!("`{value}` is neither 1 nor 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_no_provider() {
        assert_eq!(provider("ip-api"), Ok(ProviderName::IpApi));
        assert!(provider("manual").is_err() && provider("site").is_err());
        assert!(provider("ipapi").is_err_and(|error| error.contains("did you mean `ip-api`?")));
    }
}
