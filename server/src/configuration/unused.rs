//! Settings that are given and change nothing, so that somebody who set one does not look for its effect in vain.

use hostatlas_domain::ProviderName;
use hostatlas_services::UnusedSetting;

use super::{
    Database, Key,
    key::ProviderField,
    sources::{Given, Origin},
};

/// What decides whether a setting has an effect.
pub struct Circumstances<'a> {
    /// Who is asked.
    pub providers: &'a [ProviderName],
    /// Where the data is.
    pub database: &'a Database,
    /// Providers that the operator described in the file.
    pub described: &'a [ProviderName],
}

/// The settings among `given` that have no effect.
pub fn find<'a>(
    given: &(impl Iterator<Item = (Key, &'a Given)> + Clone),
    circumstances: &Circumstances<'_>,
) -> Vec<UnusedSetting> {
    let is_given = |wanted: Key| given.clone().any(|(key, _)| key == wanted);
    let mut unused: Vec<UnusedSetting> = Vec::new();
    for (key, value) in given.clone() {
        if let Some((because, remedy)) = reason(key, &is_given, circumstances) {
            unused.push(UnusedSetting { name: name_of(key, value), because, remedy });
        }
    }
    for provider in circumstances.described {
        if !circumstances.providers.contains(provider) {
            let (because, remedy) = not_asked(&[*provider]);
            unused.push(UnusedSetting { name: format!("[provider.{provider}]"), because, remedy });
        }
    }
    unused
}

fn reason(
    key: Key,
    is_given: &impl Fn(Key) -> bool,
    circumstances: &Circumstances<'_>,
) -> Option<(String, String)> {
    let Circumstances { providers, database, .. } = circumstances;
    let asks = |provider: ProviderName| providers.contains(&provider);
    let own_key = |provider| is_given(Key::Provider(provider, ProviderField::Key));
    match key {
        Key::Provider(provider, _) if !asks(provider) => Some(not_asked(&[provider])),
        Key::IpinfoToken => shared_key(&[ProviderName::Ipinfo, ProviderName::IpinfoLite], asks, own_key),
        Key::IpgeolocationApiKey => shared_key(&[ProviderName::Ipgeolocation], asks, own_key),
        Key::MmdbDir | Key::MmdbCity | Key::MmdbAsn if !asks(ProviderName::Mmdb) => {
            Some(not_asked(&[ProviderName::Mmdb]))
        }
        Key::MmdbDir if is_given(Key::MmdbCity) && is_given(Key::MmdbAsn) => Some((
            "`HOSTATLAS_MMDB_CITY` and `HOSTATLAS_MMDB_ASN` name the files to use instead of the folder"
                .to_owned(),
            "remove it, or remove one of these two".to_owned(),
        )),
        Key::CacheLocatedHours | Key::CacheMissedHours if !providers.iter().any(|one| one.is_online()) => {
            Some((
                "only answers of online providers are cached, and none is in `HOSTATLAS_PROVIDERS`"
                    .to_owned(),
                "remove it, or add an online provider".to_owned(),
            ))
        }
        Key::BackupDir if database.is_server() => Some((
            "the schedule `backup` copies SQLite files, and the data is in PostgreSQL".to_owned(),
            "remove it, and back the server up with pg_dump".to_owned(),
        )),
        Key::DatabaseDirectUrl if !database.is_server() => Some((
            "the data is in an SQLite file, which has no pooler".to_owned(),
            "remove it, or set `HOSTATLAS_DATABASE_URL` to a PostgreSQL database".to_owned(),
        )),
        _ => None,
    }
}

/// Why a key that several providers share has no effect, if it has none.
fn shared_key(
    takers: &[ProviderName],
    asks: impl Fn(ProviderName) -> bool,
    own_key: impl Fn(ProviderName) -> bool,
) -> Option<(String, String)> {
    let asked: Vec<ProviderName> = takers.iter().copied().filter(|provider| asks(*provider)).collect();
    if asked.is_empty() {
        return Some(not_asked(takers));
    }
    let all_have_their_own = asked.iter().all(|provider| own_key(*provider));
    all_have_their_own.then(|| {
        let variables: Vec<String> = asked
            .iter()
            .map(|provider| format!("`{}`", Key::Provider(*provider, ProviderField::Key).variable()))
            .collect();
        (format!("{} takes precedence", variables.join(" and ")), "remove one of them".to_owned())
    })
}

fn not_asked(providers: &[ProviderName]) -> (String, String) {
    let names: Vec<String> = providers.iter().map(|provider| format!("`{provider}`")).collect();
    (
        format!("{} is not in `HOSTATLAS_PROVIDERS`", names.join(" or ")),
        "add the provider there, or remove the setting".to_owned(),
    )
}

/// The setting as the person who gave it knows it.
fn name_of(key: Key, given: &Given) -> String {
    match &given.origin {
        Origin::File(path) => format!("{} in {}", key.toml(), path.display()),
        Origin::Flag(flag) => (*flag).to_owned(),
        Origin::Environment(_) | Origin::Default => key.variable(),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::PathBuf};

    use super::*;

    fn names(keys: &[Key], providers: &[ProviderName], database: &Database) -> Vec<String> {
        let given = |key: &Key| {
            (*key, Given { values: vec!["x".to_owned()], origin: Origin::Environment(key.variable()) })
        };
        let given: BTreeMap<Key, Given> = keys.iter().map(given).collect();
        let circumstances = Circumstances { providers, database, described: &[] };
        let found = find(&given.iter().map(|(key, given)| (*key, given)), &circumstances);
        found.into_iter().map(|unused| unused.name).collect()
    }

    #[test]
    fn a_setting_is_unused_where_nothing_reads_it() {
        use ProviderName::{Ipinfo, IpinfoLite, Mmdb};
        let file = Database::File(PathBuf::from("a.db"));
        let server = Database::Server("postgres://db/atlas".to_owned());
        let own = Key::Provider(Ipinfo, ProviderField::Key);
        let token = Key::IpinfoToken;
        let none: [&str; 0] = [];
        assert_eq!(names(&[token], &[Mmdb], &file), ["IPINFO_TOKEN"]);
        assert_eq!(names(&[token], &[Mmdb, IpinfoLite], &file), none);
        assert_eq!(names(&[token, own], &[Mmdb, Ipinfo], &file), ["IPINFO_TOKEN"]);
        assert_eq!(names(&[token, own], &[Ipinfo, IpinfoLite], &file), none);
        assert_eq!(names(&[own], &[Mmdb], &file), ["HOSTATLAS_PROVIDER_IPINFO_KEY"]);
        assert_eq!(names(&[Key::MmdbDir, Key::MmdbCity], &[Mmdb], &file), none);
        let files = [Key::MmdbDir, Key::MmdbCity, Key::MmdbAsn];
        assert_eq!(names(&files, &[Mmdb], &file), ["HOSTATLAS_MMDB_DIR"]);
        assert_eq!(names(&files[..1], &[Ipinfo], &file), ["HOSTATLAS_MMDB_DIR"]);
        assert_eq!(names(&[Key::CacheMissedHours], &[Mmdb], &file), ["HOSTATLAS_CACHE_MISSED_HOURS"]);
        let urls = [Key::BackupDir, Key::DatabaseDirectUrl];
        assert_eq!(names(&urls, &[Mmdb], &file), ["HOSTATLAS_DATABASE_DIRECT_URL"]);
        assert_eq!(names(&urls, &[Mmdb], &server), ["HOSTATLAS_BACKUP_DIR"]);
    }
}
