use std::collections::BTreeMap;

use hostatlas_domain::ProviderName;

use super::{
    Key, Shown,
    sources::{self, Given, Origin, Settings},
    values::without_password,
};
use crate::failure::Failure;

/// Takes settings out one by one and notes what was effective.
pub(super) struct Reader {
    settings: Settings,
    effective: BTreeMap<Key, Given>,
}

impl Reader {
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings, effective: BTreeMap::new() }
    }

    pub(super) fn one<T>(
        &mut self,
        key: Key,
        default: Option<&str>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, Failure> {
        let given = self.take(key, default.unwrap_or_default());
        parse(given.values.first().map_or("", String::as_str)).map_err(|reason| invalid(key, &given, &reason))
    }

    pub(super) fn list<T>(
        &mut self,
        key: Key,
        default: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Failure> {
        let given = self.take(key, default);
        given
            .values
            .iter()
            .map(|value| parse(value).map_err(|reason| invalid(key, &given, &reason)))
            .collect()
    }

    pub(super) fn optional<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        if self.settings.contains_key(&key) {
            return self.one(key, None, parse).map(Some);
        }
        self.effective.insert(key, Given { values: Vec::new(), origin: Origin::Default });
        Ok(None)
    }

    pub(super) fn optional_list<T>(
        &mut self,
        key: Key,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, Failure> {
        if self.settings.contains_key(&key) {
            return self.list(key, "", parse).map(Some);
        }
        self.effective.insert(key, Given { values: Vec::new(), origin: Origin::Default });
        Ok(None)
    }

    /// Refuses a setting that is known and cannot be honoured, so that nobody relies on it.
    pub(super) fn refuse(&mut self, key: Key, reason: &str) -> Result<(), Failure> {
        match self.settings.remove(&key) {
            Some(given) => Err(invalid(key, &given, reason)),
            None => Ok(()),
        }
    }

    fn take(&mut self, key: Key, default: &str) -> Given {
        let given = self
            .settings
            .remove(&key)
            .unwrap_or_else(|| Given { values: sources::split(key, default), origin: Origin::Default });
        self.effective.insert(key, given.clone());
        given
    }

    /// What was given for the settings that were taken out; not what is as it is by default.
    pub(super) fn given(&self) -> impl Iterator<Item = (Key, &Given)> + Clone {
        let given = self.effective.iter().filter(|(_, given)| given.origin != Origin::Default);
        given.map(|(key, given)| (*key, given))
    }

    /// Every effective setting that `config show` lists, where `providers` are configured.
    pub(super) fn shown(self, providers: &[ProviderName]) -> Vec<Shown> {
        let mut effective = self.effective;
        effective.retain(|key, given| match key {
            Key::Provider(provider, _) => providers.contains(provider) || !given.values.is_empty(),
            _ => true,
        });
        Key::all()
            .filter_map(|key| effective.remove(&key).map(|given| (key, given)))
            .map(|(key, given)| Shown {
                key: key.toml(),
                value: match given.values.join(",") {
                    value if value.is_empty() => None,
                    _ if key.is_secret() => Some("***".to_owned()),
                    // What the operator writes after the `?` may be a key.
                    value if key.is_template() => Some(match value.split_once('?') {
                        Some((address, _)) => format!("{address}?***"),
                        None => value,
                    }),
                    value => Some(without_password(&value)),
                },
                origin: given.origin.to_string(),
                variable: key.variable(),
            })
            .collect()
    }
}

fn invalid(key: Key, given: &Given, reason: &str) -> Failure {
    let (reason, hint) =
        reason.split_once('\n').map_or((reason, None), |(reason, hint)| (reason, Some(hint)));
    let failure = Failure::error(format!("`{}` ({}): {reason}", key.toml(), given.origin));
    match hint {
        Some(hint) => failure.with_hint(hint.to_owned()),
        None => failure,
    }
}
