use std::{borrow::Cow, net::IpAddr};

use hostatlas_domain::{Address, AddressClass, ProviderName, classify};
use serde::{Serialize, Serializer};

use crate::{
    cities::{CITIES, City},
    fault::Fault,
    world::World,
};

/// What a provider is about to say of one address.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As it was asked for.
    pub(crate) asked: String,
    /// As the answer names it.
    pub(crate) shown: String,
    /// What it is, where it is an address.
    pub(crate) address: Option<IpAddr>,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Known(Box<Place>),
    Unknown,
    Special(AddressClass),
    Invalid,
}

/// A place as the answer will state it: true, unless a fault has been at it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) city: City,
    pub(crate) name: Cow<'static, str>,
    pub(crate) latitude: Figure,
    pub(crate) longitude: Figure,
    pub(crate) asn: u32,
}

/// A number, or what stands in its place.
#[derive(Clone, Debug)]
pub(crate) enum Figure {
    Degrees(f64),
    /// Text where a number belongs.
    Text(String),
    /// No JSON at all: written as it is.
    Raw(&'static str),
    Array(f64),
    Null,
}

/// Around what [`unquote`] writes without its quotes.
const RAW: &str = "@raw@";

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Degrees(degrees) => serializer.serialize_f64(*degrees),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Raw(raw) => serializer.collect_str(&format_args!("{RAW}{raw}{RAW}")),
            Self::Array(degrees) => [degrees].serialize(serializer),
            Self::Null => serializer.serialize_none(),
        }
    }
}

impl Figure {
    /// As a provider writes it that gives coordinates as text.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Degrees(degrees) => Cow::Owned(degrees.to_string()),
            Self::Text(text) => Cow::Borrowed(text),
            Self::Raw(raw) => Cow::Borrowed(raw),
            Self::Array(degrees) => Cow::Owned(format!("[{degrees}]")),
            Self::Null => Cow::Borrowed(""),
        }
    }
}

/// Takes the quotes off what is no JSON.
pub(crate) fn unquote(body: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8(body).expect("JSON is text");
    text.replace(&format!("\"{RAW}"), "").replace(&format!("{RAW}\""), "").into_bytes()
}

impl Entry {
    /// What `provider` truly says of what was asked.
    pub(crate) fn of(world: &World, provider: ProviderName, asked: &str) -> Self {
        let address = asked.parse::<IpAddr>().ok();
        let outcome = address.map_or(Outcome::Invalid, |address| {
            let class = classify(Address::from(address));
            if class.is_public() {
                world
                    .known_to(provider, address)
                    .map_or(Outcome::Unknown, |city| Outcome::Known(Place::of(city)))
            } else {
                Outcome::Special(class)
            }
        });
        Self { asked: asked.to_owned(), shown: asked.to_owned(), address, outcome }
    }

    pub(crate) fn place(&self) -> Option<&Place> {
        match &self.outcome {
            Outcome::Known(place) => Some(place),
            _ => None,
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Place)) {
        if let Outcome::Known(place) = &mut self.outcome {
            change(place);
        }
    }
}

impl Place {
    fn of(city: &City) -> Box<Self> {
        let position = CITIES.iter().position(|other| other.name == city.name).unwrap_or(0);
        Box::new(Self {
            city: *city,
            name: Cow::Borrowed(city.name),
            latitude: Figure::Degrees(city.latitude),
            longitude: Figure::Degrees(city.longitude),
            asn: 3_000 + u32::try_from(position).unwrap_or(0),
        })
    }

    fn at(&mut self, latitude: Figure, longitude: Figure) {
        self.latitude = latitude;
        self.longitude = longitude;
    }

    /// The point on the other side of the world, which is in no country that this one is near.
    fn antipode(&self) -> (f64, f64) {
        let City { latitude, longitude, .. } = self.city;
        (-latitude, if longitude > 0.0 { longitude - 180.0 } else { longitude + 180.0 })
    }

    /// The organization that the answers name.
    pub(crate) fn organization(&self) -> String {
        format!("Stand-in Networks {}", self.city.country)
    }
}

/// Does to the answers what `fault` is about; most faults are about something else.
pub(crate) fn spoil(
    fault: Fault,
    world: &World,
    provider: ProviderName,
    entries: &mut Vec<Entry>,
    batch: bool,
) {
    match fault {
        Fault::BatchTooShort if batch => entries.truncate(entries.len() * 2 / 3),
        Fault::BatchTooLong if batch => {
            entries.extend(["193.0.6.139", "1.1.1.1"].map(|foreign| Entry::of(world, provider, foreign)));
        }
        Fault::BatchReordered if batch => reorder(entries),
        Fault::BatchRepeated if batch => repeat(entries),
        Fault::OtherAddress => {
            for entry in entries {
                if let Some(other) = entry.address.map(neighbour) {
                    let asked = std::mem::take(&mut entry.asked);
                    *entry = Entry { asked, ..Entry::of(world, provider, &other.to_string()) };
                }
            }
        }
        _ => entries.iter_mut().for_each(|entry| entry.change(|place| spoil_place(fault, place))),
    }
}

fn spoil_place(fault: Fault, place: &mut Place) {
    let City { latitude, longitude, .. } = place.city;
    let (far_latitude, far_longitude) = place.antipode();
    match fault {
        Fault::NotANumber => place.at(Figure::Raw("NaN"), Figure::Raw("NaN")),
        Fault::Infinite => place.at(Figure::Raw("1e999"), Figure::Raw("-1e999")),
        Fault::WordsForNumbers => place.at(Figure::Text("north".to_owned()), Figure::Text("east".to_owned())),
        Fault::TextForNumbers => {
            place.at(Figure::Text(far_latitude.to_string()), Figure::Text(far_longitude.to_string()));
        }
        Fault::ArraysForNumbers => place.at(Figure::Array(latitude), Figure::Array(longitude)),
        Fault::NullIsland => place.at(Figure::Degrees(0.0), Figure::Degrees(0.0)),
        Fault::Swapped => place.at(Figure::Degrees(longitude), Figure::Degrees(latitude)),
        Fault::Antipode => place.at(Figure::Degrees(far_latitude), Figure::Degrees(far_longitude)),
        Fault::OutOfRange => place.at(Figure::Degrees(latitude + 180.0), Figure::Degrees(longitude + 720.0)),
        Fault::HalfCoordinate => place.longitude = Figure::Null,
        Fault::WrongCountry => {
            let far = CITIES.iter().find(|far| far.continent_code != place.city.continent_code);
            let far = far.expect("the table has several continents");
            place.city = City { country: far.country, country_code: far.country_code, ..place.city };
        }
        Fault::UnknownCountry => {
            place.city = City { country: "Nowhere", country_code: "ZZ", ..place.city };
        }
        Fault::HostileNames => {
            place.name = Cow::Owned(format!("\u{1b}[31m\u{0}\u{202e}</script>\r\n{}", "x".repeat(300)));
        }
        _ => {}
    }
}

/// Answers in reverse order; what was asked stays where it was.
fn reorder(entries: &mut [Entry]) {
    let asked: Vec<String> = entries.iter().map(|entry| entry.asked.clone()).collect();
    entries.reverse();
    for (entry, asked) in entries.iter_mut().zip(asked) {
        entry.asked = asked;
    }
}

fn repeat(entries: &mut [Entry]) {
    if let Some((first, others)) = entries.split_first_mut() {
        for other in others {
            *other = Entry { asked: std::mem::take(&mut other.asked), ..first.clone() };
        }
    }
}

/// The address beside it.
fn neighbour(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() ^ 1).into()),
        IpAddr::V6(address) => IpAddr::V6((address.to_bits() ^ 1).into()),
    }
}
