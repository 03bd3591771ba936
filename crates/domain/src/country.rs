use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A country or territory by its ISO 3166-1 alpha-2 code, in capitals. Kosovo is `XK`, as providers write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

/// Text that is no ISO 3166-1 alpha-2 code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a two-letter country code such as DE")]
pub struct InvalidCountryCode(String);

impl CountryCode {
    /// The two capital letters.
    pub const fn bytes(self) -> [u8; 2] {
        self.0
    }

    /// The two capital letters as text.
    pub fn as_str(self) -> &'static str {
        self.entry().map_or("", |(code, _)| code)
    }

    /// The short English name.
    pub fn name(self) -> &'static str {
        self.entry().map_or("", |(_, name)| name)
    }

    /// Every country, by code.
    pub fn all() -> impl ExactSizeIterator<Item = Self> {
        COUNTRIES.iter().map(|(code, _)| Self::of(code))
    }

    /// Finds a country by its English name, whatever its case; the official and the older names that
    /// people and providers use are understood, codes are not.
    pub fn from_name(name: &str) -> Option<Self> {
        let wanted = fold(name);
        let find = |table: &[(&'static str, &'static str)]| {
            table.iter().find(|(_, known)| fold(known) == wanted).map(|(code, _)| Self::of(code))
        };
        find(&COUNTRIES).or_else(|| find(&ALIASES))
    }

    fn of(code: &'static str) -> Self {
        let code = code.as_bytes();
        Self([code[0], code[1]])
    }

    fn entry(self) -> Option<&'static (&'static str, &'static str)> {
        let index = COUNTRIES.binary_search_by(|(code, _)| code.as_bytes().cmp(&self.0)).ok()?;
        COUNTRIES.get(index)
    }
}

/// A name without what spellings differ in: case, accents, punctuation, a leading "the".
fn fold(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    for word in name.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let start = folded.len();
        for character in word.chars().flat_map(char::to_lowercase) {
            match character {
                'á' | 'ã' | 'å' => folded.push('a'),
                'ç' => folded.push('c'),
                'é' => folded.push('e'),
                'í' | 'ı' => folded.push('i'),
                'ô' | 'ó' => folded.push('o'),
                'ü' => folded.push('u'),
                // The dot that `İ` leaves behind in lower case.
                '\u{307}' => {}
                other => folded.push(other),
            }
        }
        match &folded[start..] {
            "the" | "and" | "of" => folded.truncate(start),
            "st" => folded.replace_range(start.., "saint"),
            _ => {}
        }
    }
    folded
}

impl FromStr for CountryCode {
    type Err = InvalidCountryCode;

    /// Reads a code in either case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        <[u8; 2]>::try_from(text.as_bytes())
            .map(|code| Self(code.map(|letter| letter.to_ascii_uppercase())))
            .ok()
            .filter(|code| code.entry().is_some())
            .ok_or_else(|| InvalidCountryCode(crate::sanitize(text, 64)))
    }
}

impl fmt::Display for CountryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for CountryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for CountryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Other names, by which `from_name` finds a country too.
const ALIASES: [(&str, &str); 84] = [
    ("AE", "UAE"),
    ("AE", "Emirates"),
    ("BA", "Bosnia"),
    ("BN", "Brunei Darussalam"),
    ("BO", "Bolivia, Plurinational State of"),
    ("BO", "Plurinational State of Bolivia"),
    ("BQ", "Bonaire, Sint Eustatius and Saba"),
    ("BQ", "Bonaire"),
    ("BY", "Belorussia"),
    ("CC", "Cocos (Keeling) Islands"),
    ("CD", "Congo, Democratic Republic of the"),
    ("CD", "Democratic Republic of the Congo"),
    ("CD", "Congo, The Democratic Republic of the"),
    ("CD", "Congo DR"),
    ("CD", "Congo (Kinshasa)"),
    ("CG", "Republic of the Congo"),
    ("CG", "Congo Republic"),
    ("CG", "Congo (Brazzaville)"),
    ("CI", "Ivory Coast"),
    ("CI", "Cote D Ivoire"),
    ("CN", "People's Republic of China"),
    ("CN", "PRC"),
    ("CV", "Cabo Verde"),
    ("CZ", "Czech Republic"),
    ("DE", "Deutschland"),
    ("FK", "Falkland Islands (Malvinas)"),
    ("FM", "Micronesia, Federated States of"),
    ("FM", "Federated States of Micronesia"),
    ("GB", "UK"),
    ("GB", "Great Britain"),
    ("GB", "Britain"),
    ("GB", "England"),
    ("GB", "United Kingdom of Great Britain and Northern Ireland"),
    ("HK", "Hong Kong SAR China"),
    ("HK", "Hong Kong SAR"),
    ("IE", "Republic of Ireland"),
    ("IR", "Iran, Islamic Republic of"),
    ("IR", "Islamic Republic of Iran"),
    ("KP", "Korea, Democratic People's Republic of"),
    ("KP", "Democratic People's Republic of Korea"),
    ("KP", "DPRK"),
    ("KR", "Korea, Republic of"),
    ("KR", "Republic of Korea"),
    ("KR", "Korea"),
    ("LA", "Lao People's Democratic Republic"),
    ("LA", "Lao PDR"),
    ("MD", "Moldova, Republic of"),
    ("MD", "Republic of Moldova"),
    ("MF", "Saint Martin (French part)"),
    ("MK", "Macedonia"),
    ("MK", "Republic of North Macedonia"),
    ("MM", "Burma"),
    ("MO", "Macau"),
    ("MO", "Macao SAR China"),
    ("NL", "Holland"),
    ("PN", "Pitcairn Islands"),
    ("PS", "Palestine, State of"),
    ("PS", "State of Palestine"),
    ("PS", "Palestinian Territory"),
    ("PS", "Palestinian Territories"),
    ("PS", "Palestinian Territory, Occupied"),
    ("RU", "Russian Federation"),
    ("SH", "Saint Helena, Ascension and Tristan da Cunha"),
    ("SX", "Sint Maarten (Dutch part)"),
    ("SY", "Syrian Arab Republic"),
    ("SZ", "Swaziland"),
    ("TL", "East Timor"),
    ("TR", "Turkey"),
    ("TW", "Taiwan, Province of China"),
    ("TW", "Taiwan (Province of China)"),
    ("TZ", "Tanzania, United Republic of"),
    ("TZ", "United Republic of Tanzania"),
    ("UM", "United States Minor Outlying Islands"),
    ("US", "USA"),
    ("US", "U.S.A."),
    ("US", "U.S."),
    ("US", "United States of America"),
    ("US", "America"),
    ("VA", "Holy See"),
    ("VA", "Vatican"),
    ("VE", "Venezuela, Bolivarian Republic of"),
    ("VG", "Virgin Islands, British"),
    ("VI", "Virgin Islands, U.S."),
    ("VN", "Viet Nam"),
];

/// Sorted by code: [`CountryCode::name`] searches it.
const COUNTRIES: [(&str, &str); 250] = [
    ("AD", "Andorra"),
    ("AE", "United Arab Emirates"),
    ("AF", "Afghanistan"),
    ("AG", "Antigua and Barbuda"),
    ("AI", "Anguilla"),
    ("AL", "Albania"),
    ("AM", "Armenia"),
    ("AO", "Angola"),
    ("AQ", "Antarctica"),
    ("AR", "Argentina"),
    ("AS", "American Samoa"),
    ("AT", "Austria"),
    ("AU", "Australia"),
    ("AW", "Aruba"),
    ("AX", "Åland Islands"),
    ("AZ", "Azerbaijan"),
    ("BA", "Bosnia and Herzegovina"),
    ("BB", "Barbados"),
    ("BD", "Bangladesh"),
    ("BE", "Belgium"),
    ("BF", "Burkina Faso"),
    ("BG", "Bulgaria"),
    ("BH", "Bahrain"),
    ("BI", "Burundi"),
    ("BJ", "Benin"),
    ("BL", "Saint Barthélemy"),
    ("BM", "Bermuda"),
    ("BN", "Brunei"),
    ("BO", "Bolivia"),
    ("BQ", "Caribbean Netherlands"),
    ("BR", "Brazil"),
    ("BS", "Bahamas"),
    ("BT", "Bhutan"),
    ("BV", "Bouvet Island"),
    ("BW", "Botswana"),
    ("BY", "Belarus"),
    ("BZ", "Belize"),
    ("CA", "Canada"),
    ("CC", "Cocos Islands"),
    ("CD", "DR Congo"),
    ("CF", "Central African Republic"),
    ("CG", "Congo"),
    ("CH", "Switzerland"),
    ("CI", "Côte d’Ivoire"),
    ("CK", "Cook Islands"),
    ("CL", "Chile"),
    ("CM", "Cameroon"),
    ("CN", "China"),
    ("CO", "Colombia"),
    ("CR", "Costa Rica"),
    ("CU", "Cuba"),
    ("CV", "Cape Verde"),
    ("CW", "Curaçao"),
    ("CX", "Christmas Island"),
    ("CY", "Cyprus"),
    ("CZ", "Czechia"),
    ("DE", "Germany"),
    ("DJ", "Djibouti"),
    ("DK", "Denmark"),
    ("DM", "Dominica"),
    ("DO", "Dominican Republic"),
    ("DZ", "Algeria"),
    ("EC", "Ecuador"),
    ("EE", "Estonia"),
    ("EG", "Egypt"),
    ("EH", "Western Sahara"),
    ("ER", "Eritrea"),
    ("ES", "Spain"),
    ("ET", "Ethiopia"),
    ("FI", "Finland"),
    ("FJ", "Fiji"),
    ("FK", "Falkland Islands"),
    ("FM", "Micronesia"),
    ("FO", "Faroe Islands"),
    ("FR", "France"),
    ("GA", "Gabon"),
    ("GB", "United Kingdom"),
    ("GD", "Grenada"),
    ("GE", "Georgia"),
    ("GF", "French Guiana"),
    ("GG", "Guernsey"),
    ("GH", "Ghana"),
    ("GI", "Gibraltar"),
    ("GL", "Greenland"),
    ("GM", "Gambia"),
    ("GN", "Guinea"),
    ("GP", "Guadeloupe"),
    ("GQ", "Equatorial Guinea"),
    ("GR", "Greece"),
    ("GS", "South Georgia and the South Sandwich Islands"),
    ("GT", "Guatemala"),
    ("GU", "Guam"),
    ("GW", "Guinea-Bissau"),
    ("GY", "Guyana"),
    ("HK", "Hong Kong"),
    ("HM", "Heard Island and McDonald Islands"),
    ("HN", "Honduras"),
    ("HR", "Croatia"),
    ("HT", "Haiti"),
    ("HU", "Hungary"),
    ("ID", "Indonesia"),
    ("IE", "Ireland"),
    ("IL", "Israel"),
    ("IM", "Isle of Man"),
    ("IN", "India"),
    ("IO", "British Indian Ocean Territory"),
    ("IQ", "Iraq"),
    ("IR", "Iran"),
    ("IS", "Iceland"),
    ("IT", "Italy"),
    ("JE", "Jersey"),
    ("JM", "Jamaica"),
    ("JO", "Jordan"),
    ("JP", "Japan"),
    ("KE", "Kenya"),
    ("KG", "Kyrgyzstan"),
    ("KH", "Cambodia"),
    ("KI", "Kiribati"),
    ("KM", "Comoros"),
    ("KN", "Saint Kitts and Nevis"),
    ("KP", "North Korea"),
    ("KR", "South Korea"),
    ("KW", "Kuwait"),
    ("KY", "Cayman Islands"),
    ("KZ", "Kazakhstan"),
    ("LA", "Laos"),
    ("LB", "Lebanon"),
    ("LC", "Saint Lucia"),
    ("LI", "Liechtenstein"),
    ("LK", "Sri Lanka"),
    ("LR", "Liberia"),
    ("LS", "Lesotho"),
    ("LT", "Lithuania"),
    ("LU", "Luxembourg"),
    ("LV", "Latvia"),
    ("LY", "Libya"),
    ("MA", "Morocco"),
    ("MC", "Monaco"),
    ("MD", "Moldova"),
    ("ME", "Montenegro"),
    ("MF", "Saint Martin"),
    ("MG", "Madagascar"),
    ("MH", "Marshall Islands"),
    ("MK", "North Macedonia"),
    ("ML", "Mali"),
    ("MM", "Myanmar"),
    ("MN", "Mongolia"),
    ("MO", "Macao"),
    ("MP", "Northern Mariana Islands"),
    ("MQ", "Martinique"),
    ("MR", "Mauritania"),
    ("MS", "Montserrat"),
    ("MT", "Malta"),
    ("MU", "Mauritius"),
    ("MV", "Maldives"),
    ("MW", "Malawi"),
    ("MX", "Mexico"),
    ("MY", "Malaysia"),
    ("MZ", "Mozambique"),
    ("NA", "Namibia"),
    ("NC", "New Caledonia"),
    ("NE", "Niger"),
    ("NF", "Norfolk Island"),
    ("NG", "Nigeria"),
    ("NI", "Nicaragua"),
    ("NL", "Netherlands"),
    ("NO", "Norway"),
    ("NP", "Nepal"),
    ("NR", "Nauru"),
    ("NU", "Niue"),
    ("NZ", "New Zealand"),
    ("OM", "Oman"),
    ("PA", "Panama"),
    ("PE", "Peru"),
    ("PF", "French Polynesia"),
    ("PG", "Papua New Guinea"),
    ("PH", "Philippines"),
    ("PK", "Pakistan"),
    ("PL", "Poland"),
    ("PM", "Saint Pierre and Miquelon"),
    ("PN", "Pitcairn"),
    ("PR", "Puerto Rico"),
    ("PS", "Palestine"),
    ("PT", "Portugal"),
    ("PW", "Palau"),
    ("PY", "Paraguay"),
    ("QA", "Qatar"),
    ("RE", "Réunion"),
    ("RO", "Romania"),
    ("RS", "Serbia"),
    ("RU", "Russia"),
    ("RW", "Rwanda"),
    ("SA", "Saudi Arabia"),
    ("SB", "Solomon Islands"),
    ("SC", "Seychelles"),
    ("SD", "Sudan"),
    ("SE", "Sweden"),
    ("SG", "Singapore"),
    ("SH", "Saint Helena"),
    ("SI", "Slovenia"),
    ("SJ", "Svalbard and Jan Mayen"),
    ("SK", "Slovakia"),
    ("SL", "Sierra Leone"),
    ("SM", "San Marino"),
    ("SN", "Senegal"),
    ("SO", "Somalia"),
    ("SR", "Suriname"),
    ("SS", "South Sudan"),
    ("ST", "São Tomé and Príncipe"),
    ("SV", "El Salvador"),
    ("SX", "Sint Maarten"),
    ("SY", "Syria"),
    ("SZ", "Eswatini"),
    ("TC", "Turks and Caicos Islands"),
    ("TD", "Chad"),
    ("TF", "French Southern Territories"),
    ("TG", "Togo"),
    ("TH", "Thailand"),
    ("TJ", "Tajikistan"),
    ("TK", "Tokelau"),
    ("TL", "Timor-Leste"),
    ("TM", "Turkmenistan"),
    ("TN", "Tunisia"),
    ("TO", "Tonga"),
    ("TR", "Türkiye"),
    ("TT", "Trinidad and Tobago"),
    ("TV", "Tuvalu"),
    ("TW", "Taiwan"),
    ("TZ", "Tanzania"),
    ("UA", "Ukraine"),
    ("UG", "Uganda"),
    ("UM", "U.S. Outlying Islands"),
    ("US", "United States"),
    ("UY", "Uruguay"),
    ("UZ", "Uzbekistan"),
    ("VA", "Vatican City"),
    ("VC", "Saint Vincent and the Grenadines"),
    ("VE", "Venezuela"),
    ("VG", "British Virgin Islands"),
    ("VI", "U.S. Virgin Islands"),
    ("VN", "Vietnam"),
    ("VU", "Vanuatu"),
    ("WF", "Wallis and Futuna"),
    ("WS", "Samoa"),
    ("XK", "Kosovo"),
    ("YE", "Yemen"),
    ("YT", "Mayotte"),
    ("ZA", "South Africa"),
    ("ZM", "Zambia"),
    ("ZW", "Zimbabwe"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_the_standards_249_countries_and_kosovo_sorted_by_code() {
        assert!(COUNTRIES.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(COUNTRIES.iter().all(|(code, name)| code.len() == 2 && !name.is_empty()));
        assert_eq!(CountryCode::all().len(), 250);
    }

    #[test]
    fn a_code_is_read_in_either_case_and_printed_in_capitals() {
        for country in CountryCode::all() {
            assert_eq!(country.as_str().to_lowercase().parse(), Ok(country));
            assert_eq!(country.to_string().parse(), Ok(country));
        }
    }

    #[test]
    fn what_is_no_country_is_refused() {
        for text in ["", "D", "DEU", "ZZ", "UK", "EU", "A1", "\u{e9}", "d\0"] {
            assert!(text.parse::<CountryCode>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn json_holds_the_code() {
        let japan: CountryCode = "jp".parse().expect("a country");
        assert_eq!(serde_json::to_string(&japan).expect("a string"), "\"JP\"");
        assert_eq!(serde_json::from_str::<CountryCode>("\"jp\"").expect("a country"), japan);
        assert!(serde_json::from_str::<CountryCode>("\"xx\"").is_err());
    }

    #[test]
    fn every_name_and_alias_finds_its_country() {
        for (code, name) in COUNTRIES.iter().chain(&ALIASES) {
            assert_eq!(
                CountryCode::from_name(&name.to_uppercase()).map(CountryCode::as_str),
                Some(*code),
                "{name}"
            );
        }
    }

    #[test]
    fn people_and_providers_spell_names_differently() {
        let found = [
            "usa",
            " The Netherlands ",
            "St. Lucia",
            "turkey",
            "Curacao",
            "Trinidad & Tobago",
            "Atlantis",
            "",
        ]
        .map(|name| CountryCode::from_name(name).map(CountryCode::as_str));
        assert_eq!(
            found,
            [Some("US"), Some("NL"), Some("LC"), Some("TR"), Some("CW"), Some("TT"), None, None]
        );
    }
}
