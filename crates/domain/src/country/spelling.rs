//! The names by which people and providers call a country.

use super::iso_3166::COUNTRIES;

/// The code of the country that is called `name`, however it is spelt.
pub(super) fn code_of(name: &str) -> Option<&'static str> {
    let wanted = fold(name);
    COUNTRIES.iter().chain(&ALIASES).find(|(_, known)| fold(known) == wanted).map(|(code, _)| *code)
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

/// Other names, beside the standard's short ones.
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

#[cfg(test)]
mod tests {
    use super::{super::CountryCode, *};

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
