//! Where settings come from: the file and the environment, each read into the same form.

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use hostatlas_domain::ProviderName;
use hostatlas_services::CustomConfig;

use super::{
    Key,
    key::{ProviderField, is_custom},
    suggest::nearest,
};
use crate::failure::Failure;

/// Read when no `--config` names another.
const DEFAULT_FILE: &str = "hostatlas.toml";

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: it is the default.
    Default,
    /// In this file.
    File(PathBuf),
    /// In this environment variable.
    Environment(String),
    /// By this flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Environment(variable) => write!(formatter, "environment: {variable}"),
            Self::Flag(flag) => write!(formatter, "flag: {flag}"),
        }
    }
}

/// A value as it was written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// One value, or those of a list.
    pub values: Vec<String>,
    /// Where.
    pub origin: Origin,
}

/// Settings of one source or of several, later ones winning.
pub type Settings = BTreeMap<Key, Given>;

/// What the configuration file says.
#[derive(Debug, Default)]
pub struct File {
    /// Settings that every source may give.
    pub settings: Settings,
    /// The `[[site]]` tables.
    pub sites: Vec<SiteTable>,
    /// How the operator describes providers, but for URL and key.
    pub custom: BTreeMap<ProviderName, CustomConfig>,
}

/// One `[[site]]` table: where the hosts of a private network are.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteTable {
    /// What people call it.
    pub name: String,
    /// Its addresses.
    pub network: String,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// City.
    pub city: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// ISO 3166-1 alpha-2 code.
    pub country_code: Option<String>,
}

/// Reads the configuration file: `named`, or `hostatlas.toml` in the working directory if there is one.
pub fn read_file(named: Option<&Path>) -> Result<File, Failure> {
    let path = named.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(File::default());
        }
        Err(error) => {
            return Err(Failure::error(format!(
                "cannot read the configuration `{}`: {error}",
                path.display()
            ))
            .with_hint("`--config FILE` names the file; without it `hostatlas.toml` is read if it exists"));
        }
    };
    parse_file(&text, path)
}

fn parse_file(text: &str, path: &Path) -> Result<File, Failure> {
    let mut table: toml::Table = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        Failure::error(format!("`{}` line {line}: {}", path.display(), error.message()))
            .with_hint("it is TOML: `name = \"value\"`, one a line; `hostatlas config show` lists the names")
    })?;
    let known: BTreeMap<String, Key> = Key::all().map(|key| (key.toml(), key)).collect();
    let sites = take_sites(&mut table, path)?;
    let custom = take_custom(&mut table, path)?;
    let mut settings = Settings::new();
    let mut open: Vec<(String, toml::Value)> = table.into_iter().collect();
    while let Some((name, value)) = open.pop() {
        if let Some(key) = known.get(&name) {
            let values = values_of(*key, &value).ok_or_else(|| {
                Failure::error(format!("`{}`: `{name}` has a value of the wrong kind", path.display()))
                    .with_hint(if key.is_list() {
                        "give text, or a list of texts"
                    } else {
                        "give one text, number or truth value"
                    })
            })?;
            settings.insert(*key, Given { values, origin: Origin::File(path.to_owned()) });
        } else if let (toml::Value::Table(inner), true) = (&value, is_table_name(&name, &known)) {
            open.extend(inner.iter().map(|(part, value)| (format!("{name}.{part}"), value.clone())));
        } else {
            return Err(unknown(
                &format!("unknown key `{}` in `{}`", hostatlas_domain::sanitize(&name, 100), path.display()),
                nearest(&name, known.keys().map(String::as_str)),
            ));
        }
    }
    Ok(File { settings, sites, custom })
}

/// Takes what describes a provider out of its table; URL, key and `allow_private` stay, since they are settings.
fn take_custom(
    table: &mut toml::Table,
    path: &Path,
) -> Result<BTreeMap<ProviderName, CustomConfig>, Failure> {
    let mut described = BTreeMap::new();
    let Some(providers) = table.get_mut("provider").and_then(toml::Value::as_table_mut) else {
        return Ok(described);
    };
    for name in ProviderName::ASKED.into_iter().filter(|name| is_custom(*name)) {
        let Some(own) = providers.get_mut(name.name()).and_then(toml::Value::as_table_mut) else { continue };
        let mut rest = std::mem::take(own);
        // Limits may be written as tables there, which no setting can be.
        for field in ProviderField::of(name).filter(|field| *field != ProviderField::Limits) {
            if let Some(setting) = rest.remove(field.name()) {
                own.insert(field.name().to_owned(), setting);
            }
        }
        let config = toml::Value::Table(rest).try_into().map_err(|error: toml::de::Error| {
            Failure::error(format!("`{}`: `[provider.{name}]`: {}", path.display(), error.message()))
                .with_hint("`docs/PROVIDERS.md` has an example of a provider of your own")
        })?;
        described.insert(name, config);
    }
    Ok(described)
}

/// `site` as text is the folder of the built site; `[[site]]` tables are places of private networks.
fn take_sites(table: &mut toml::Table, path: &Path) -> Result<Vec<SiteTable>, Failure> {
    let is_tables = table.get("site").is_some_and(|value| match value {
        toml::Value::Array(values) => values.iter().all(toml::Value::is_table),
        other => other.is_table(),
    });
    let sites = if is_tables { table.remove("site") } else { None };
    let sites = match sites {
        None => return Ok(Vec::new()),
        Some(toml::Value::Array(sites)) => sites,
        Some(one) => vec![one],
    };
    let mut read = Vec::with_capacity(sites.len());
    for (number, site) in (1..).zip(sites) {
        read.push(site.try_into::<SiteTable>().map_err(|error| {
            Failure::error(format!("`{}`: `[[site]]` number {number}: {}", path.display(), error.message()))
                .with_hint("a site has name, network, latitude and longitude, and may have city, region and country_code")
        })?);
    }
    Ok(read)
}

fn is_table_name(name: &str, known: &BTreeMap<String, Key>) -> bool {
    known.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn values_of(key: Key, value: &toml::Value) -> Option<Vec<String>> {
    let scalar = |value: &toml::Value| match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        _ => None,
    };
    match value {
        toml::Value::Array(values) if key.is_list() => values.iter().map(scalar).collect(),
        toml::Value::Array(_) => None,
        value => scalar(value).map(|text| split(key, &text)),
    }
}

/// Reads the environment. `OsString`s that are no text are refused only under our names.
pub fn read_environment(
    variables: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<Settings, Failure> {
    let known: BTreeMap<String, Key> = Key::all().map(|key| (key.variable(), key)).collect();
    let mut settings = Settings::new();
    for (name, value) in variables {
        let name = name.to_string_lossy().into_owned();
        let Some(key) = known.get(&name) else {
            if name.starts_with("HOSTATLAS_") {
                return Err(unknown(
                    &format!("unknown environment variable `{}`", hostatlas_domain::sanitize(&name, 100)),
                    nearest(&name, known.keys().map(String::as_str)),
                ));
            }
            continue;
        };
        let text = value.into_string().map_err(|_| Failure::error(format!("`{name}` is not UTF-8 text")))?;
        // An empty variable is how a shell or a container file unsets one.
        if !text.trim().is_empty() {
            settings.insert(*key, Given { values: split(*key, &text), origin: Origin::Environment(name) });
        }
    }
    Ok(settings)
}

/// The values of a text: a list's are separated by commas.
pub fn split(key: Key, text: &str) -> Vec<String> {
    if key.is_list() {
        text.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
    } else {
        vec![text.to_owned()]
    }
}

fn unknown(message: &str, suggestion: Option<&str>) -> Failure {
    Failure::error(message.to_owned()).with_hint(match suggestion {
        Some(name) => format!("did you mean `{name}`?"),
        None => "`hostatlas config show` lists the keys, `docs/PROVIDERS.md` those of providers".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Result<Settings, Failure> {
        parse_file(text, Path::new("hostatlas.toml")).map(|file| file.settings)
    }

    #[test]
    fn a_site_is_a_table_and_the_folder_of_the_site_is_text() {
        let text =
            "[[site]]\nname = \"Office\"\nnetwork = \"10.1.0.0/16\"\nlatitude = 48.1\nlongitude = 11.6\n";
        let sites = parse_file(text, Path::new("hostatlas.toml")).expect("sound").sites;
        assert_eq!((sites.len(), sites[0].name.as_str()), (1, "Office"));
        assert_eq!(file("site = \"target/site\"").expect("sound").len(), 1);
        let failure = file(&text.replace("latitude", "latitud")).expect_err("a slip");
        assert!(failure.to_string().contains("number 1") && failure.to_string().contains("latitud"));
    }

    #[test]
    fn a_provider_has_a_table_of_its_own() {
        let text = "[provider.custom-1]\nurl = \"https://a.example/{ip}\"\nkey = \"k\"\nfields = { latitude = \"/lat\" }\n";
        let read = parse_file(text, Path::new("hostatlas.toml")).expect("sound");
        let names: Vec<_> = read.settings.keys().map(|key| key.toml()).collect();
        assert_eq!(names, ["provider.custom-1.url", "provider.custom-1.key"]);
        assert_eq!(read.custom[&ProviderName::Custom1].fields.latitude.as_deref(), Some("/lat"));
        assert!(file("[provider.custom-1]\nfeilds = {}\n").is_err());
        assert!(file("[provider.ip-api]\nlatitude = \"/lat\"\n").is_err());
    }

    #[test]
    fn the_file_knows_tables_lists_and_numbers() {
        let settings = file(
            "max_age_days = 7\nallowed_hosts = [\"atlas.example\"]\nproviders = \"mmdb, ip-api\"\n\
             [provider.ip-api]\nallow_private = true\n",
        )
        .expect("sound");
        let values: Vec<_> =
            settings.into_iter().map(|(key, given)| (key.toml(), given.values.join("|"))).collect();
        let expected = [
            ("allowed_hosts", "atlas.example"),
            ("providers", "mmdb|ip-api"),
            ("max_age_days", "7"),
            ("provider.ip-api.allow_private", "true"),
        ];
        assert_eq!(values, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_name() {
        let failure = file("databse_url = \"sqlite://x.db\"").expect_err("a slip");
        assert_eq!(failure.hint(), Some("did you mean `database_url`?"));
    }

    #[test]
    fn an_unknown_variable_of_ours_is_refused_and_a_foreign_one_is_left_alone() {
        let variable = |name: &str| vec![(name.into(), "x".into())];
        let failure = read_environment(variable("HOSTATLAS_LISTN")).expect_err("a slip");
        assert_eq!(failure.hint(), Some("did you mean `HOSTATLAS_LISTEN`?"));
        assert_eq!(read_environment(variable("HOME")).expect("not ours"), Settings::new());
    }
}
