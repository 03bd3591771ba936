use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose data is shown, in the words that its licence asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attribution {
    /// The words.
    pub text: String,
    /// Where they lead.
    pub url: String,
    /// The licence, if it wants to be named too.
    pub license: Option<String>,
    /// Its text.
    pub license_url: Option<String>,
    /// The database files and providers that it is for.
    pub sources: Vec<String>,
}

/// `IP Geolocation by DB-IP, https://db-ip.com (CC BY 4.0)`
impl fmt::Display for Attribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)?;
        if !self.text.contains(&self.url) {
            write!(formatter, ", {}", self.url)?;
        }
        match &self.license {
            Some(license) => write!(formatter, " ({license})"),
            None => Ok(()),
        }
    }
}
