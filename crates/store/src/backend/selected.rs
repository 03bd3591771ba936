use hostatlas_domain::Address;

use crate::SelectedHost;

/// The next of hosts that were selected before, by address.
#[must_use]
pub fn next_selected(hosts: &[SelectedHost], after: Option<Address>, limit: u32) -> Vec<SelectedHost> {
    let is_next = |host: &&SelectedHost| after.is_none_or(|after| host.address > after);
    let mut next: Vec<_> = hosts.iter().filter(is_next).copied().collect();
    next.sort_unstable_by_key(|host| host.address);
    next.truncate(limit as usize);
    next
}
