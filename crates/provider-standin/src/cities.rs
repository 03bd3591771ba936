/// A city that answers name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct City {
    /// Its name in English.
    pub name: &'static str,
    /// The region it lies in.
    pub region: &'static str,
    /// The region's code, ISO 3166-2 without the country.
    pub region_code: &'static str,
    /// The country's English name.
    pub country: &'static str,
    /// ISO 3166-1 alpha-2.
    pub country_code: &'static str,
    /// `AF`, `AS`, `EU`, `NA`, `OC` or `SA`.
    pub continent_code: &'static str,
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// IANA time zone.
    pub timezone: &'static str,
}

impl City {
    /// The continent's English name.
    pub fn continent(&self) -> &'static str {
        match self.continent_code {
            "AF" => "Africa",
            "AS" => "Asia",
            "EU" => "Europe",
            "NA" => "North America",
            "OC" => "Oceania",
            _ => "South America",
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "a row of the table below, in the order of its columns")]
const fn city(
    name: &'static str,
    region: &'static str,
    region_code: &'static str,
    country: &'static str,
    country_code: &'static str,
    continent_code: &'static str,
    latitude: f64,
    longitude: f64,
    timezone: &'static str,
) -> City {
    City { name, region, region_code, country, country_code, continent_code, latitude, longitude, timezone }
}

/// Cities of all inhabited continents.
///
/// Chosen so that latitude and longitude exchanged, and the other side of the world, lie more than 500 km outside
/// the country or nowhere at all: what a fault spoils is then always to be seen.
#[rustfmt::skip]
pub const CITIES: [City; 78] = [
    city("London", "England", "ENG", "United Kingdom", "GB", "EU", 51.5074, -0.1278, "Europe/London"),
    city("Paris", "Ile-de-France", "IDF", "France", "FR", "EU", 48.8566, 2.3522, "Europe/Paris"),
    city("Berlin", "Land Berlin", "BE", "Germany", "DE", "EU", 52.52, 13.405, "Europe/Berlin"),
    city("Munich", "Bavaria", "BY", "Germany", "DE", "EU", 48.1351, 11.582, "Europe/Berlin"),
    city("Madrid", "Madrid", "MD", "Spain", "ES", "EU", 40.4168, -3.7038, "Europe/Madrid"),
    city("Rome", "Lazio", "62", "Italy", "IT", "EU", 41.9028, 12.4964, "Europe/Rome"),
    city("Warsaw", "Mazovia", "14", "Poland", "PL", "EU", 52.2297, 21.0122, "Europe/Warsaw"),
    city("Stockholm", "Stockholm", "AB", "Sweden", "SE", "EU", 59.3293, 18.0686, "Europe/Stockholm"),
    city("Oslo", "Oslo", "03", "Norway", "NO", "EU", 59.9139, 10.7522, "Europe/Oslo"),
    city("Helsinki", "Uusimaa", "18", "Finland", "FI", "EU", 60.1699, 24.9384, "Europe/Helsinki"),
    city("Athens", "Attica", "I", "Greece", "GR", "EU", 37.9838, 23.7275, "Europe/Athens"),
    city("Lisbon", "Lisbon", "11", "Portugal", "PT", "EU", 38.7223, -9.1393, "Europe/Lisbon"),
    city("Dublin", "Leinster", "L", "Ireland", "IE", "EU", 53.3498, -6.2603, "Europe/Dublin"),
    city("Amsterdam", "North Holland", "NH", "Netherlands", "NL", "EU", 52.3676, 4.9041, "Europe/Amsterdam"),
    city("Vienna", "Vienna", "9", "Austria", "AT", "EU", 48.2082, 16.3738, "Europe/Vienna"),
    city("Prague", "Prague", "10", "Czechia", "CZ", "EU", 50.0755, 14.4378, "Europe/Prague"),
    city("Budapest", "Budapest", "BU", "Hungary", "HU", "EU", 47.4979, 19.0402, "Europe/Budapest"),
    city("Bucharest", "Bucharest", "B", "Romania", "RO", "EU", 44.4268, 26.1025, "Europe/Bucharest"),
    city("Kyiv", "Kyiv City", "30", "Ukraine", "UA", "EU", 50.4501, 30.5234, "Europe/Kyiv"),
    city("Moscow", "Moscow", "MOW", "Russia", "RU", "EU", 55.7558, 37.6173, "Europe/Moscow"),
    city("Zurich", "Zurich", "ZH", "Switzerland", "CH", "EU", 47.3769, 8.5417, "Europe/Zurich"),
    city("Nairobi", "Nairobi County", "30", "Kenya", "KE", "AF", -1.2921, 36.8219, "Africa/Nairobi"),
    city("Johannesburg", "Gauteng", "GP", "South Africa", "ZA", "AF", -26.2041, 28.0473, "Africa/Johannesburg"),
    city("Cape Town", "Western Cape", "WC", "South Africa", "ZA", "AF", -33.9249, 18.4241, "Africa/Johannesburg"),
    city("Casablanca", "Casablanca-Settat", "06", "Morocco", "MA", "AF", 33.5731, -7.5898, "Africa/Casablanca"),
    city("Dakar", "Dakar", "DK", "Senegal", "SN", "AF", 14.7167, -17.4677, "Africa/Dakar"),
    city("Addis Ababa", "Addis Ababa", "AA", "Ethiopia", "ET", "AF", 9.03, 38.74, "Africa/Addis_Ababa"),
    city("Tunis", "Tunis", "11", "Tunisia", "TN", "AF", 36.8065, 10.1815, "Africa/Tunis"),
    city("Dar es Salaam", "Dar es Salaam", "02", "Tanzania", "TZ", "AF", -6.7924, 39.2083, "Africa/Dar_es_Salaam"),
    city("Antananarivo", "Analamanga", "T", "Madagascar", "MG", "AF", -18.8792, 47.5079, "Indian/Antananarivo"),
    city("Luanda", "Luanda", "LUA", "Angola", "AO", "AF", -8.839, 13.2894, "Africa/Luanda"),
    city("Algiers", "Algiers", "16", "Algeria", "DZ", "AF", 36.7538, 3.0588, "Africa/Algiers"),
    city("Tokyo", "Tokyo", "13", "Japan", "JP", "AS", 35.6762, 139.6503, "Asia/Tokyo"),
    city("Osaka", "Osaka", "27", "Japan", "JP", "AS", 34.6937, 135.5023, "Asia/Tokyo"),
    city("Seoul", "Seoul", "11", "South Korea", "KR", "AS", 37.5665, 126.978, "Asia/Seoul"),
    city("Beijing", "Beijing", "BJ", "China", "CN", "AS", 39.9042, 116.4074, "Asia/Shanghai"),
    city("Shanghai", "Shanghai", "SH", "China", "CN", "AS", 31.2304, 121.4737, "Asia/Shanghai"),
    city("Taipei", "Taipei City", "TPE", "Taiwan", "TW", "AS", 25.033, 121.5654, "Asia/Taipei"),
    city("Bangkok", "Bangkok", "10", "Thailand", "TH", "AS", 13.7563, 100.5018, "Asia/Bangkok"),
    city("Hanoi", "Hanoi", "HN", "Vietnam", "VN", "AS", 21.0278, 105.8342, "Asia/Ho_Chi_Minh"),
    city("Manila", "Metro Manila", "00", "Philippines", "PH", "AS", 14.5995, 120.9842, "Asia/Manila"),
    city("Jakarta", "Jakarta", "JK", "Indonesia", "ID", "AS", -6.2088, 106.8456, "Asia/Jakarta"),
    city("Kuala Lumpur", "Kuala Lumpur", "14", "Malaysia", "MY", "AS", 3.139, 101.6869, "Asia/Kuala_Lumpur"),
    city("Delhi", "Delhi", "DL", "India", "IN", "AS", 28.6139, 77.209, "Asia/Kolkata"),
    city("Mumbai", "Maharashtra", "MH", "India", "IN", "AS", 19.076, 72.8777, "Asia/Kolkata"),
    city("Bengaluru", "Karnataka", "KA", "India", "IN", "AS", 12.9716, 77.5946, "Asia/Kolkata"),
    city("Karachi", "Sindh", "SD", "Pakistan", "PK", "AS", 24.8607, 67.0011, "Asia/Karachi"),
    city("Dhaka", "Dhaka", "C", "Bangladesh", "BD", "AS", 23.8103, 90.4125, "Asia/Dhaka"),
    city("Kathmandu", "Bagmati", "P3", "Nepal", "NP", "AS", 27.7172, 85.324, "Asia/Kathmandu"),
    city("Almaty", "Almaty", "75", "Kazakhstan", "KZ", "AS", 43.222, 76.8512, "Asia/Almaty"),
    city("Tashkent", "Tashkent", "TK", "Uzbekistan", "UZ", "AS", 41.2995, 69.2401, "Asia/Tashkent"),
    city("Tehran", "Tehran", "23", "Iran", "IR", "AS", 35.6892, 51.389, "Asia/Tehran"),
    city("Riyadh", "Riyadh", "01", "Saudi Arabia", "SA", "AS", 24.7136, 46.6753, "Asia/Riyadh"),
    city("Dubai", "Dubai", "DU", "United Arab Emirates", "AE", "AS", 25.2048, 55.2708, "Asia/Dubai"),
    city("Colombo", "Western", "1", "Sri Lanka", "LK", "AS", 6.9271, 79.8612, "Asia/Colombo"),
    city("New York", "New York", "NY", "United States", "US", "NA", 40.7128, -74.006, "America/New_York"),
    city("Los Angeles", "California", "CA", "United States", "US", "NA", 34.0522, -118.2437, "America/Los_Angeles"),
    city("Mountain View", "California", "CA", "United States", "US", "NA", 37.4056, -122.0775, "America/Los_Angeles"),
    city("Chicago", "Illinois", "IL", "United States", "US", "NA", 41.8781, -87.6298, "America/Chicago"),
    city("Houston", "Texas", "TX", "United States", "US", "NA", 29.7604, -95.3698, "America/Chicago"),
    city("Seattle", "Washington", "WA", "United States", "US", "NA", 47.6062, -122.3321, "America/Los_Angeles"),
    city("Toronto", "Ontario", "ON", "Canada", "CA", "NA", 43.6532, -79.3832, "America/Toronto"),
    city("Montreal", "Quebec", "QC", "Canada", "CA", "NA", 45.4995, -73.5848, "America/Toronto"),
    city("Vancouver", "British Columbia", "BC", "Canada", "CA", "NA", 49.2827, -123.1207, "America/Vancouver"),
    city("Mexico City", "Mexico City", "CMX", "Mexico", "MX", "NA", 19.4326, -99.1332, "America/Mexico_City"),
    city("Guatemala City", "Guatemala", "GU", "Guatemala", "GT", "NA", 14.6349, -90.5069, "America/Guatemala"),
    city("Panama City", "Panama", "8", "Panama", "PA", "NA", 8.9824, -79.5199, "America/Panama"),
    city("Sao Paulo", "Sao Paulo", "SP", "Brazil", "BR", "SA", -23.5505, -46.6333, "America/Sao_Paulo"),
    city("Rio de Janeiro", "Rio de Janeiro", "RJ", "Brazil", "BR", "SA", -22.9068, -43.1729, "America/Sao_Paulo"),
    city("Buenos Aires", "Buenos Aires", "C", "Argentina", "AR", "SA", -34.6037, -58.3816, "America/Argentina/Buenos_Aires"),
    city("Lima", "Lima", "LMA", "Peru", "PE", "SA", -12.0464, -77.0428, "America/Lima"),
    city("Bogota", "Bogota", "DC", "Colombia", "CO", "SA", 4.711, -74.0721, "America/Bogota"),
    city("Santiago", "Santiago Metropolitan", "RM", "Chile", "CL", "SA", -33.4489, -70.6693, "America/Santiago"),
    city("Caracas", "Distrito Capital", "A", "Venezuela", "VE", "SA", 10.4806, -66.9036, "America/Caracas"),
    city("Sydney", "New South Wales", "NSW", "Australia", "AU", "OC", -33.8688, 151.2093, "Australia/Sydney"),
    city("Perth", "Western Australia", "WA", "Australia", "AU", "OC", -31.9505, 115.8605, "Australia/Perth"),
    city("Auckland", "Auckland", "AUK", "New Zealand", "NZ", "OC", -36.8509, 174.7645, "Pacific/Auckland"),
    city("Port Moresby", "National Capital", "NCD", "Papua New Guinea", "PG", "OC", -9.4438, 147.1803, "Pacific/Port_Moresby"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_table_covers_every_inhabited_continent_and_names_no_city_twice() {
        let continents: BTreeSet<_> = CITIES.iter().map(|city| city.continent_code).collect();
        let names: BTreeSet<_> = CITIES.iter().map(|city| city.name).collect();

        assert_eq!(continents.into_iter().collect::<Vec<_>>(), ["AF", "AS", "EU", "NA", "OC", "SA"]);
        assert_eq!(names.len(), CITIES.len());
    }

    #[test]
    fn exchanged_coordinates_are_never_near_the_city() {
        for city in CITIES {
            let apart = (city.latitude - city.longitude).abs();
            assert!(apart > 12.0, "{} would be hard to tell when exchanged", city.name);
        }
    }
}
