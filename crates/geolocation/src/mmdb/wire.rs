//! One record as it is in the file, in any of the schemas that are met.
//!
//! The schemas share no numeric type (`float`, `double`, text) and use one key for different things (`city` is text
//! or a map, `country` a name, a code or a map), so every value is taken as whatever it is. A value of an unexpected
//! type is ignored; only damaged data is an error.

use std::{fmt, marker::PhantomData};

use hostatlas_domain::Asn;
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// What a record says, not yet judged. Texts may be empty.
#[derive(Debug, Default, PartialEq)]
pub struct WireRecord<'de> {
    /// `latitude` and `longitude`, in degrees.
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub city: Option<&'de str>,
    pub region: Option<&'de str>,
    /// What should be an ISO code.
    pub country_code: Option<&'de str>,
    /// A country's name, or its code in some schemas.
    pub country: Option<&'de str>,
    pub timezone: Option<&'de str>,
    /// Accuracy radius in kilometres.
    pub accuracy_km: Option<f64>,
    pub asn: Option<Asn>,
    /// The holder of the autonomous system.
    pub as_organization: Option<&'de str>,
    pub organization: Option<&'de str>,
    pub isp: Option<&'de str>,
    /// Which kinds of keys were there, whatever their values.
    pub keys: Keys,
}

/// Which kinds of keys a record has: what its database is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four, each asked for by name")]
pub struct Keys {
    /// Coordinates or a city.
    pub point: bool,
    /// A city, region or country.
    pub names: bool,
    /// A country.
    pub country: bool,
    /// An autonomous system.
    pub network: bool,
}

impl<'de> Deserialize<'de> for WireRecord<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut record = Self::default();
        deserializer.deserialize_map(Fill { record: &mut record, depth: 0 })?;
        Ok(record)
    }
}

/// Nested maps whose keys mean the same as outside (`location`, `traits`, IPinfo's `geo` and `as`) go this deep.
/// Pointers in a hostile file can nest them without end.
const MAXIMUM_DEPTH: u8 = 2;

/// Reads the entries of a map into a record.
struct Fill<'record, 'de> {
    record: &'record mut WireRecord<'de>,
    depth: u8,
}

impl<'de> Fill<'_, 'de> {
    fn entry<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let record = &mut *self.record;
        match key {
            "city" | "city_name" => {
                record.keys.names = true;
                record.keys.point = true;
                record.city = map.next_value::<Named>()?.name;
            }
            "region" | "region_name" | "state1" | "state" | "stateprov" => {
                record.keys.names = true;
                record.region = map.next_value::<Named>()?.name;
            }
            "subdivisions" => {
                record.keys.names = true;
                record.region = map.next_value::<First>()?.0.name;
            }
            "country" | "country_name" => {
                record.keys.names = true;
                record.keys.country = true;
                let country = map.next_value::<Named>()?;
                record.country = country.name.or(record.country);
                record.country_code = country.code.or(record.country_code);
            }
            "country_code" | "country_iso_code" => {
                record.keys.names = true;
                record.keys.country = true;
                record.country_code = map.next_value::<Scalar>()?.text().or(record.country_code);
            }
            "latitude" | "lat" => {
                record.keys.point = true;
                record.latitude = map.next_value::<Scalar>()?.number();
            }
            "longitude" | "lng" | "lon" => {
                record.keys.point = true;
                record.longitude = map.next_value::<Scalar>()?.number();
            }
            "loc" => {
                record.keys.point = true;
                if let Some((latitude, longitude)) = map.next_value::<Scalar>()?.pair() {
                    (record.latitude, record.longitude) = (Some(latitude), Some(longitude));
                }
            }
            "time_zone" | "timezone" => record.timezone = map.next_value::<Scalar>()?.text(),
            "accuracy_radius" | "radius" => record.accuracy_km = map.next_value::<Scalar>()?.number(),
            "location" | "geo" | "traits" | "as" if self.depth < MAXIMUM_DEPTH => {
                map.next_value_seed(Fill { record, depth: self.depth + 1 })?;
            }
            _ => return self.network_entry(key, map),
        }
        Ok(())
    }

    fn network_entry<A: MapAccess<'de>>(&mut self, key: &str, map: &mut A) -> Result<(), A::Error> {
        let record = &mut *self.record;
        match key {
            "autonomous_system_number" | "asn" | "as_number" => {
                record.keys.network = true;
                record.asn = map.next_value::<Scalar>()?.asn();
            }
            "autonomous_system_organization" | "as_name" | "as_organization" | "name" => {
                record.as_organization = map.next_value::<Scalar>()?.text().or(record.as_organization);
            }
            "organization" | "org" => record.organization = map.next_value::<Scalar>()?.text(),
            "isp" => record.isp = map.next_value::<Scalar>()?.text(),
            _ => {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Fill<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Lenient(self))
    }
}

impl<'de> Visitor<'de> for Fill<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of facts about an address")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&'de str>()? {
            self.entry(key, &mut map)?;
        }
        Ok(())
    }
}

/// What may be told from a value of any type. The defaults ignore it.
trait Taste<'de>: Sized {
    type Value: Default;

    fn text(self, _text: &'de str) -> Self::Value {
        Self::Value::default()
    }
    fn number(self, _number: f64) -> Self::Value {
        Self::Value::default()
    }
    fn whole(self, _number: u64) -> Self::Value {
        Self::Value::default()
    }
    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }
    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }
}

/// Hands a value of any type to its [`Taste`].
struct Lenient<T>(T);

impl<'de, T: Taste<'de>> Visitor<'de> for Lenient<T> {
    type Value = T::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<T::Value, E> {
        Ok(self.0.text(text))
    }
    fn visit_f32<E: Error>(self, number: f32) -> Result<T::Value, E> {
        Ok(self.0.number(widen(number)))
    }
    fn visit_f64<E: Error>(self, number: f64) -> Result<T::Value, E> {
        Ok(self.0.number(number))
    }
    fn visit_u64<E: Error>(self, number: u64) -> Result<T::Value, E> {
        Ok(self.0.whole(number))
    }
    fn visit_i64<E: Error>(self, number: i64) -> Result<T::Value, E> {
        #[expect(clippy::cast_precision_loss, reason = "the format has no signed integer above 32 bits")]
        Ok(match u64::try_from(number) {
            Ok(whole) => self.0.whole(whole),
            Err(_) => self.0.number(number as f64),
        })
    }
    fn visit_u128<E: Error>(self, _: u128) -> Result<T::Value, E> {
        Ok(T::Value::default())
    }
    fn visit_bool<E: Error>(self, _: bool) -> Result<T::Value, E> {
        Ok(T::Value::default())
    }
    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<T::Value, E> {
        Ok(T::Value::default())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T::Value, A::Error> {
        self.0.map(map)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T::Value, A::Error> {
        self.0.list(list)
    }
}

/// A 32-bit float as the decimal that was meant: `37.422` and not `37.422000885`.
///
/// Beyond 128 degrees such a float is exact to 0.00002 degree only, so a fifth decimal would be invented.
fn widen(number: f32) -> f64 {
    let decimals = if number.abs() < 128.0 { 1e5 } else { 1e4 };
    (f64::from(number) * decimals).round() / decimals
}

impl<'de> Taste<'de> for Fill<'_, 'de> {
    type Value = ();

    fn map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.visit_map(map)
    }
}

/// One value that is no container.
#[derive(Clone, Copy, Debug, Default)]
enum Scalar<'de> {
    #[default]
    Other,
    Text(&'de str),
    Number(f64),
    Whole(u64),
}

impl<'de> Scalar<'de> {
    const fn text(self) -> Option<&'de str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    fn number(self) -> Option<f64> {
        match self {
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(number) => Some(number),
            #[expect(clippy::cast_precision_loss, reason = "no coordinate or radius is that large")]
            Self::Whole(number) => Some(number as f64),
            Self::Other => None,
        }
    }

    /// `"37.4056,-122.0775"`
    fn pair(self) -> Option<(f64, f64)> {
        let (latitude, longitude) = self.text()?.split_once(',')?;
        Some((latitude.trim().parse().ok()?, longitude.trim().parse().ok()?))
    }

    /// 0 is no autonomous system.
    fn asn(self) -> Option<Asn> {
        match self {
            Self::Whole(number) => u32::try_from(number).ok().filter(|&number| number > 0).map(Asn),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Number(_) | Self::Other => None,
        }
    }
}

struct TakeScalar<'de>(PhantomData<&'de str>);

impl<'de> Taste<'de> for TakeScalar<'de> {
    type Value = Scalar<'de>;

    fn text(self, text: &'de str) -> Scalar<'de> {
        Scalar::Text(text)
    }
    fn number(self, number: f64) -> Scalar<'de> {
        Scalar::Number(number)
    }
    fn whole(self, number: u64) -> Scalar<'de> {
        Scalar::Whole(number)
    }
}

impl<'de> Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(TakeScalar(PhantomData)))
    }
}

/// A city, region or country: text alone, or `MaxMind`'s map of a code and names by language.
#[derive(Clone, Copy, Debug, Default)]
struct Named<'de> {
    name: Option<&'de str>,
    code: Option<&'de str>,
}

struct TakeNamed<'de>(PhantomData<&'de str>);

impl<'de> Taste<'de> for TakeNamed<'de> {
    type Value = Named<'de>;

    fn text(self, text: &'de str) -> Named<'de> {
        Named { name: Some(text), code: None }
    }

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<'de>, A::Error> {
        let mut named = Named::default();
        while let Some(key) = map.next_key::<&'de str>()? {
            match key {
                "names" => named.name = map.next_value::<Names>()?.0.or(named.name),
                "name" => named.name = map.next_value::<Scalar>()?.text().or(named.name),
                "iso_code" | "code" => named.code = map.next_value::<Scalar>()?.text(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(named)
    }
}

impl<'de> Deserialize<'de> for Named<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(TakeNamed(PhantomData)))
    }
}

/// The English of names by language, or the first of them.
#[derive(Clone, Copy, Debug, Default)]
struct Names<'de>(Option<&'de str>);

struct TakeNames<'de>(PhantomData<&'de str>);

impl<'de> Taste<'de> for TakeNames<'de> {
    type Value = Names<'de>;

    fn map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names<'de>, A::Error> {
        let mut chosen = None;
        while let Some(language) = map.next_key::<&'de str>()? {
            if language == "en" {
                chosen = map.next_value::<Scalar>()?.text().or(chosen);
            } else if chosen.is_none() {
                chosen = map.next_value::<Scalar>()?.text();
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Names(chosen))
    }
}

impl<'de> Deserialize<'de> for Names<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(TakeNames(PhantomData)))
    }
}

/// The first of a list: of subdivisions, the largest.
#[derive(Clone, Copy, Debug, Default)]
struct First<'de>(Named<'de>);

struct TakeFirst<'de>(PhantomData<&'de str>);

impl<'de> Taste<'de> for TakeFirst<'de> {
    type Value = First<'de>;

    fn list<A: SeqAccess<'de>>(self, mut list: A) -> Result<First<'de>, A::Error> {
        let first = list.next_element::<Named>()?.unwrap_or_default();
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(First(first))
    }
}

impl<'de> Deserialize<'de> for First<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Lenient(TakeFirst(PhantomData)))
    }
}
