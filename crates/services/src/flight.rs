//! Batches on their way into the store.

use hostatlas_domain::Address;
use tokio::task::{JoinError, JoinSet};

use crate::Error;

/// Work on ranges of addresses: several at once, as long as each lies wholly behind those that are still worked on.
///
/// So the work that is under way never shares a host. None waits for another's rows, and where a later part of the
/// input says something of the same host, or the same host did not fit into one range, the earlier work is over first.
pub(crate) struct Flight<T> {
    running: JoinSet<Result<T, Error>>,
    most: usize,
    /// The last address of the work that began last.
    last: Option<Address>,
}

impl<T: Send + 'static> Flight<T> {
    /// Nothing is under way yet; later `most` may be, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self { running: JoinSet::new(), most: most.max(1), last: None }
    }

    /// Whether as much is under way as may be.
    pub(crate) fn is_full(&self) -> bool {
        self.running.len() >= self.most
    }

    /// Whether work on addresses from `first` on may begin now.
    pub(crate) fn has_room_behind(&self, first: Address) -> bool {
        self.running.is_empty() || !self.is_full() && self.last.is_none_or(|last| last < first)
    }

    /// Begins work on addresses up to `last`; the caller has asked [`Flight::has_room_behind`].
    pub(crate) fn begin(
        &mut self,
        last: Address,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) {
        self.last = Some(last);
        self.running.spawn(work);
    }

    /// Waits for what ends next; none if nothing is under way.
    pub(crate) async fn next(&mut self) -> Option<Result<T, Error>> {
        self.running.join_next().await.map(flatten)
    }

    /// What has ended already.
    pub(crate) fn ended(&mut self) -> Option<Result<T, Error>> {
        self.running.try_join_next().map(flatten)
    }
}

fn flatten<T>(ended: Result<Result<T, Error>, JoinError>) -> Result<T, Error> {
    ended.unwrap_or_else(|broken| Err(Error::Internal(broken.into())))
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn address(last: u8) -> Address {
        Address::from(std::net::IpAddr::from([203, 0, 113, last]))
    }

    /// A flight in which work up to `last` is under way, and what ends it.
    fn busy(most: usize, last: u8) -> (Flight<u8>, oneshot::Sender<u8>) {
        let mut flight = Flight::new(most);
        let (sender, receiver) = oneshot::channel();
        flight.begin(
            address(last),
            async move { receiver.await.map_err(|error| Error::Internal(error.into())) },
        );
        (flight, sender)
    }

    #[tokio::test]
    async fn work_begins_beside_other_work_only_behind_its_last_host() {
        let (flight, _end) = busy(2, 10);
        let room = [9, 10, 11].map(|first| flight.has_room_behind(address(first)));
        assert_eq!(room, [false, false, true]);
    }

    #[tokio::test]
    async fn no_more_than_permitted_is_under_way_and_one_always_may() {
        let (one, _end) = busy(1, 10);
        let (zero, _other_end) = busy(0, 10);
        assert!(!one.has_room_behind(address(11)) && !zero.has_room_behind(address(11)));
        assert!(Flight::<u8>::new(0).has_room_behind(address(1)));
    }

    #[tokio::test]
    async fn once_all_is_over_any_address_may_follow() {
        let (mut flight, end) = busy(2, 10);
        end.send(7).expect("somebody waits");
        assert_eq!(flight.next().await.and_then(Result::ok), Some(7));
        assert!(flight.has_room_behind(address(1)));
        assert!(flight.next().await.is_none());
    }

    #[tokio::test]
    async fn work_that_breaks_down_is_an_error() {
        let (mut flight, end) = busy(2, 10);
        drop(end);
        flight.begin(address(11), async { panic!("for the test") });
        let ended = [flight.next().await, flight.next().await];
        assert!(ended.iter().all(|ended| matches!(ended, Some(Err(Error::Internal(_))))));
    }
}
