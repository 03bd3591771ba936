use std::{net::IpAddr, sync::Arc};

use hostatlas_domain::{
    Address, AddressClass, Coordinate, CountryCode, Located, Place, Precision, UnlocatedReason, classify,
};

use super::{
    generation::{Generation, Session},
    table::{Entry, Slot, View},
};
use crate::{Answer, LookupError};

/// Addresses that are looked up side by side. Each waits for memory a few times, and they wait together.
const LANES: usize = 64;
/// Places that are kept at hand: those of three in four addresses of a city database, in 230 KiB.
const FREQUENT: usize = 4_096;

/// Lookups of places that borrow their answers, for those who look millions up: nothing is allocated, counted or
/// locked for an address whose place the first database knows.
///
/// Places alone: the network of an address is not looked up. Answers are those of
/// [`Locator::locate_sorted`](crate::Locator::locate_sorted) with the database files as the only provider.
pub struct Bulk {
    generation: Arc<Generation>,
    session: Session,
}

/// How the lookup of one address ended.
#[derive(Clone, Debug, PartialEq)]
pub enum PlaceAnswer<'a> {
    /// It is here.
    Located(PlaceView<'a>),
    /// No database knows its place.
    Miss(UnlocatedReason),
    /// A private or special-purpose address, which has no place.
    NotApplicable(AddressClass),
    /// No database could answer.
    Failed(LookupError),
}

impl<'a> PlaceAnswer<'a> {
    /// The place, if there is one.
    pub const fn place(&self) -> Option<&PlaceView<'a>> {
        match self {
            Self::Located(place) => Some(place),
            _ => None,
        }
    }
}

/// A borrowed [`Place`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceView<'a> {
    /// The point.
    pub coordinate: Coordinate,
    /// What the point stands for.
    pub precision: Precision,
    /// Its city, as the database writes it; at most 256 characters.
    pub city: Option<&'a str>,
    /// Its region, state or province.
    pub region: Option<&'a str>,
    /// Its country.
    pub country: Option<CountryCode>,
}

impl<'a> PlaceView<'a> {
    #[inline]
    fn of(entry: Entry<'a>) -> Option<Self> {
        let (coordinate, precision) = entry.point()?;
        let (city, region, country) = (entry.city(), entry.region(), entry.country());
        Some(Self { coordinate, precision, city, region, country })
    }

    /// The place to keep.
    pub fn to_place(&self) -> Place {
        let Self { coordinate, precision, city, region, country } = *self;
        Place {
            coordinate,
            precision,
            city: city.map(str::to_owned),
            region: region.map(str::to_owned),
            country,
        }
    }
}

impl<'a> From<&'a Place> for PlaceView<'a> {
    fn from(place: &'a Place) -> Self {
        let Place { coordinate, precision, city, region, country } = place;
        Self {
            coordinate: *coordinate,
            precision: *precision,
            city: city.as_deref(),
            region: region.as_deref(),
            country: *country,
        }
    }
}

/// Places that were read before. The first entries are those of most addresses, so they are kept each in its own
/// position, and of the others the last: neighbours are often at one place.
struct Known<'a> {
    table: View<'a>,
    frequent: Vec<Option<PlaceView<'a>>>,
    last: Option<(u32, PlaceView<'a>)>,
}

impl<'a> Known<'a> {
    /// For so many lookups.
    fn new(table: View<'a>, lookups: usize) -> Self {
        Self { table, frequent: vec![None; (lookups / 16).min(FREQUENT)], last: None }
    }

    #[inline]
    fn place(&mut self, entry: u32) -> Option<PlaceView<'a>> {
        let frequent = self.frequent.get_mut(entry as usize);
        match (&frequent, self.last) {
            (Some(Some(place)), _) => return Some(*place),
            (None, Some((last, place))) if last == entry => return Some(place),
            _ => {}
        }
        let place = PlaceView::of(self.table.entry(entry)?)?;
        match frequent {
            Some(frequent) => *frequent = Some(place),
            None => self.last = Some((entry, place)),
        }
        Some(place)
    }
}

/// A stretch of addresses on their way to their entries.
struct Lanes {
    bits: [u32; LANES],
    slots: [Slot; LANES],
    entries: [Option<u32>; LANES],
}

impl Lanes {
    /// Finds the entry of each IPv4 address in steps that all take together, so that the memory which one waits for
    /// is on its way while the others are served.
    fn find(&mut self, table: &View<'_>, addresses: &[Address]) {
        let Self { bits, slots, entries } = self;
        for ((bits, slot), address) in bits.iter_mut().zip(slots.iter_mut()).zip(addresses) {
            *bits = match address.ip() {
                IpAddr::V4(address) => address.to_bits(),
                IpAddr::V6(_) => 0,
            };
            *slot = table.slot(*bits);
        }
        let slots = &slots[..addresses.len()];
        std::hint::black_box(slots.iter().fold(0, |sum, slot| sum ^ table.touch(*slot)));
        for ((entry, slot), bits) in entries.iter_mut().zip(slots).zip(bits) {
            *entry = table.find_in(*slot, *bits);
        }
        let mut texts = [[0; 2]; LANES];
        for (texts, entry) in texts.iter_mut().zip(entries.iter()) {
            *texts = table.texts(*entry);
        }
        std::hint::black_box(texts.iter().flatten().fold(0, |sum, text| sum ^ table.touch_text(*text)));
    }
}

impl Bulk {
    pub(super) fn new(session: Session) -> Self {
        Self { generation: session.generation(), session }
    }

    /// Calls `visit` with the position and the answer of each of `addresses`, in their order. Any order is good;
    /// ascending addresses are fastest.
    pub fn for_each(&mut self, addresses: &[Address], mut visit: impl FnMut(usize, PlaceAnswer<'_>)) {
        let Self { generation, session } = self;
        let mut known = generation.first_table().map(|table| Known::new(table, addresses.len()));
        let mut lanes = Lanes { bits: [0; LANES], slots: [Slot::default(); LANES], entries: [None; LANES] };
        for (number, part) in addresses.chunks(LANES).enumerate() {
            if let Some(known) = &known {
                lanes.find(&known.table, part);
            }
            for (lane, address) in part.iter().enumerate() {
                let index = number * LANES + lane;
                let class = classify(*address);
                if !class.is_public() {
                    visit(index, PlaceAnswer::NotApplicable(class));
                    continue;
                }
                let known = known.as_mut().filter(|_| address.is_ipv4());
                match known.and_then(|known| known.place(lanes.entries[lane]?)) {
                    Some(place) => visit(index, PlaceAnswer::Located(place)),
                    None => by_session(session, *address, |answer| visit(index, answer)),
                }
            }
        }
    }
}

/// The way for all that the first database does not know, and for IPv6.
#[cold]
fn by_session(session: &mut Session, address: Address, tell: impl FnOnce(PlaceAnswer<'_>)) {
    match session.lookup(address) {
        Ok(Answer::Found(located)) => {
            let Located { place, .. } = &*located;
            tell(PlaceAnswer::Located(place.into()));
        }
        Ok(Answer::Miss(reason)) => tell(PlaceAnswer::Miss(reason)),
        Err(error) => tell(PlaceAnswer::Failed(error)),
    }
}
