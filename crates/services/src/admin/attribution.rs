use hostatlas_geolocation::{DatabaseStatus, Role};

/// Whose data is shown, as its licence asks.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Attribution {
    /// What to say.
    pub text: String,
    /// Where it leads.
    pub url: String,
}

/// The base map's, then that of each database in use whose maker is known.
pub(super) fn of(databases: &[DatabaseStatus]) -> Vec<Attribution> {
    let mut all = vec![attribution("Base map: Natural Earth", "https://www.naturalearthdata.com/")];
    for file in databases.iter().filter(|file| file.in_use) {
        let Some(maker) = maker(file) else { continue };
        if !all.contains(&maker) {
            all.push(maker);
        }
    }
    all
}

fn attribution(text: &str, url: &str) -> Attribution {
    Attribution { text: text.to_owned(), url: url.to_owned() }
}

fn maker(file: &DatabaseStatus) -> Option<Attribution> {
    let name = file.path.file_name().unwrap_or_default().to_string_lossy();
    let described = format!("{} {name}", file.database_type.as_deref().unwrap_or_default()).to_lowercase();
    let known = [
        ("dbip", "IP Geolocation by DB-IP", "https://db-ip.com"),
        ("geolite", "This product includes GeoLite2 data created by MaxMind", "https://www.maxmind.com"),
        ("ipinfo", "IP address data powered by IPinfo", "https://ipinfo.io"),
    ];
    if let Some((_, text, url)) = known.iter().find(|(word, ..)| described.contains(word)) {
        return Some(attribution(text, url));
    }
    (file.role == Some(Role::Asn))
        .then(|| attribution("Autonomous systems: RouteViews", "https://www.routeviews.org"))
}
