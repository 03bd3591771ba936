use std::sync::{Arc, OnceLock};

use hostatlas_domain::Address;
use maxminddb::{Metadata, Mmap};

/// Levels that a [`Top`] skips. Those of 16 bits fill 256 KiB a family, which fits in the cache of a core; the same
/// levels of a real database's tree are scattered over megabytes.
const TOP_LEVELS: u32 = 16;
/// Lookups of one cursor after which it is worth to make a [`Top`], which takes about a millisecond.
const MANY: u32 = 1_024;

/// The node that each way of [`TOP_LEVELS`] levels leads to.
type Top = Box<[u32]>;

/// A mapped file that the reader and the tree share.
#[derive(Clone)]
pub struct Mapping(pub Arc<Mmap>);

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// An address as the path to take: its bits from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    bits: u128,
    width: u32,
}

impl From<Address> for Path {
    fn from(address: Address) -> Self {
        match address.ip() {
            std::net::IpAddr::V4(address) => Self::v4(u128::from(address.to_bits()) << 96),
            std::net::IpAddr::V6(address) => Self { bits: address.to_bits(), width: 128 },
        }
    }
}

impl Path {
    const fn v4(bits: u128) -> Self {
        Self { bits, width: 32 }
    }

    const fn turns_right(self, level: u32) -> bool {
        self.bits >> (127 - level) & 1 == 1
    }

    const fn is_v4(self) -> bool {
        self.width == 32
    }

    fn address(self) -> std::net::IpAddr {
        let low = (self.bits >> 96) as u32;
        if self.is_v4() {
            std::net::Ipv4Addr::from_bits(low).into()
        } else {
            std::net::Ipv6Addr::from_bits(self.bits).into()
        }
    }
}

/// Where one random way down a tree ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// At a record; this address leads there.
    Data(std::net::IpAddr),
    /// At nothing.
    Empty,
    /// Nowhere after all bits of an address: no sound tree is that deep.
    TooDeep,
}

/// The search tree of a database.
///
/// The reader of the `maxminddb` crate walks from the root for every address. Ascending addresses share most of
/// their way, and a [`Cursor`] walks only what differs; records are still decoded by that reader.
pub struct Tree {
    mapping: Mapping,
    bytes: usize,
    node_count: u32,
    record_bits: u16,
    start_v4: u32,
    holds_v6: bool,
    /// For IPv6 and for IPv4; made when somebody looks many addresses up.
    tops: [OnceLock<Top>; 2],
}

impl Tree {
    /// The tree at the beginning of `mapping`. `None` if it is longer than the file, which the reader's own check
    /// of the same metadata has ruled out.
    pub fn new(mapping: Mapping, metadata: &Metadata) -> Option<Self> {
        let node_bytes = usize::from(metadata.record_size) / 4;
        let bytes = usize::try_from(metadata.node_count).ok()?.checked_mul(node_bytes)?;
        mapping.as_ref().get(..bytes)?;
        let holds_v6 = metadata.ip_version == 6;
        let (node_count, record_bits) = (metadata.node_count, metadata.record_size);
        let mut tree =
            Self { mapping, bytes, node_count, record_bits, start_v4: 0, holds_v6, tops: Default::default() };
        if holds_v6 {
            tree.start_v4 =
                tree.descend(&tree.mapping.as_ref()[..bytes], 0, Path { bits: 0, width: 96 }, 0).0;
        }
        Some(tree)
    }

    /// One way down, from where public addresses of the family begin, turned at random by `random` but never into
    /// an empty branch where there is another. IPv4 seen through its IPv6 aliases counts as empty.
    pub fn sample(&self, v4: bool, random: &mut u64) -> Sample {
        if !v4 && !self.holds_v6 {
            return Sample::Empty;
        }
        let nodes = &self.mapping.as_ref()[..self.bytes];
        let (mut path, mut level, mut node) = if v4 {
            (Path::v4(0), 0, self.start_v4)
        } else {
            // Every public IPv6 address is in 2000::/3.
            let path = Path { bits: 1 << 125, width: 128 };
            let (node, level) = self.descend(nodes, 0, Path { width: 3, ..path }, 0);
            (path, level, node)
        };
        while node < self.node_count {
            if level == path.width {
                return Sample::TooDeep;
            }
            *random ^= *random << 13;
            *random ^= *random >> 7;
            *random ^= *random << 17;
            let turn = *random & 1 == 1;
            let child = |right| match self.child(nodes, node, right) {
                alias if !v4 && alias == self.start_v4 && alias < self.node_count => self.node_count,
                child => child,
            };
            let right = if child(turn) == self.node_count { !turn } else { turn };
            node = child(right);
            path.bits |= u128::from(right) << (127 - level);
            level += 1;
        }
        if node == self.node_count { Sample::Empty } else { Sample::Data(path.address()) }
    }

    /// How many nodes it has. Higher numbers are of records.
    pub fn node_count(&self) -> u32 {
        self.node_count
    }

    /// Bytes at the beginning of the file that it takes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Calls `visit` with the first address and the number of each end of the IPv4 part, ascending. `false` if it is
    /// no tree: nodes that several others lead to would make the walk endless.
    pub fn walk_v4(&self, mut visit: impl FnMut(u32, u32)) -> bool {
        let nodes = &self.mapping.as_ref()[..self.bytes];
        let mut seen = 0;
        let mut ahead = vec![(self.start_v4, 0_u32, 0_u32)];
        while let Some((node, first, depth)) = ahead.pop() {
            if node >= self.node_count {
                visit(first, node);
                continue;
            }
            seen += 1;
            if depth == 32 || seen > self.node_count {
                return false;
            }
            ahead.push((self.child(nodes, node, true), first | 1 << (31 - depth), depth + 1));
            ahead.push((self.child(nodes, node, false), first, depth + 1));
        }
        true
    }

    /// Walks from `node` at `level` along `path`; ends at a node number that is no node, or below the last bit.
    fn descend(&self, nodes: &[u8], mut node: u32, path: Path, mut level: u32) -> (u32, u32) {
        while node < self.node_count && level < path.width {
            node = self.child(nodes, node, path.turns_right(level));
            level += 1;
        }
        (node, level)
    }

    /// Walks all ways of [`TOP_LEVELS`] levels at once.
    fn top(&self, v4: bool) -> &Top {
        self.tops[usize::from(v4)].get_or_init(|| {
            let mut ways = vec![if v4 { self.start_v4 } else { 0 }];
            let nodes = &self.mapping.as_ref()[..self.bytes];
            for _ in 0..TOP_LEVELS {
                let below = |node| {
                    let inner = node < self.node_count;
                    if inner { [false, true].map(|right| self.child(nodes, node, right)) } else { [node; 2] }
                };
                ways = ways.into_iter().flat_map(below).collect();
            }
            ways.into()
        })
    }

    /// Makes what a cursor makes after many lookups.
    #[cfg(test)]
    pub fn make_top(&self, v4: bool) {
        self.top(v4);
    }

    #[inline]
    fn child(&self, nodes: &[u8], node: u32, right: bool) -> u32 {
        let (node, right) = (node as usize, usize::from(right));
        let word = |start: usize| match nodes.get(start..start + 4) {
            Some(&[a, b, c, d]) => u32::from_be_bytes([a, b, c, d]),
            // `node` is below the count, and that many nodes are in the slice.
            _ => self.node_count,
        };
        match self.record_bits {
            24 => (word(node * 6 + right * 2) >> ((1 - right) * 8)) & 0x00ff_ffff,
            28 if right == 0 => {
                let word = word(node * 7);
                (word >> 8) | ((word << 20) & 0x0f00_0000)
            }
            28 => word(node * 7 + 3) & 0x0fff_ffff,
            _ => word(node * 8 + right * 4),
        }
    }
}

/// The last way taken down one tree, for one address family.
pub struct Cursor {
    /// The node at each level of that way.
    nodes: Box<[u32; 129]>,
    path: Path,
    /// How many levels it went down; `None` before the first.
    depth: Option<u32>,
    /// How many ways it took.
    finds: u32,
}

impl Default for Cursor {
    fn default() -> Self {
        Self { nodes: Box::new([0; 129]), path: Path::v4(0), depth: None, finds: 0 }
    }
}

impl Cursor {
    /// The number under which `tree` keeps the record of `path`: equal numbers are equal records. `None` if it has
    /// none.
    pub fn find(&mut self, tree: &Tree, path: Path) -> Option<u32> {
        if !path.is_v4() && !tree.holds_v6 {
            return None;
        }
        let nodes = &tree.mapping.as_ref()[..tree.bytes];
        let mut level = match self.depth {
            Some(depth) if self.path.width == path.width => {
                (self.path.bits ^ path.bits).leading_zeros().min(depth)
            }
            _ => 0,
        };
        if level < TOP_LEVELS {
            level = self.start(tree, path, level);
        }
        let mut node = self.nodes[level as usize];
        while node < tree.node_count && level < path.width {
            node = tree.child(nodes, node, path.turns_right(level));
            level += 1;
            self.nodes[level as usize] = node;
        }
        self.path = path;
        self.depth = Some(level);
        (node > tree.node_count).then_some(node)
    }

    /// Where to go on from for a way that shares less than [`TOP_LEVELS`] levels with the last: gives the level, and
    /// has its node ready.
    fn start(&mut self, tree: &Tree, path: Path, level: u32) -> u32 {
        self.finds = self.finds.saturating_add(1);
        let ready = tree.tops[usize::from(path.is_v4())].get();
        let Some(top) = ready.or_else(|| (self.finds > MANY).then(|| tree.top(path.is_v4()))) else {
            if level == 0 {
                self.nodes[0] = if path.is_v4() { tree.start_v4 } else { 0 };
            }
            return level;
        };
        let way = (path.bits >> (128 - TOP_LEVELS)) as usize;
        self.nodes[TOP_LEVELS as usize] = top[way];
        TOP_LEVELS
    }
}
