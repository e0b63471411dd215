//! The thread that keeps the serials: it syncs a file, which can take seconds, so nobody waits for it.
//!
//! It learns from every state that is read which serial of this node is the highest on the disk, so that a
//! mark that was restored from a backup is noticed.

use super::alarm::Alarm;
use super::notice::{Happening, Notices};
use super::serials::{Block, Serials};
use quorum_core::arbitration::{ClusterTag, KeyParts, NodeNumber};
use scsi::reservation::{Answer, Exchange, PersistentState, Reply};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};

/// A machine asks for one block at a time.
const ASKED_MAX: usize = 2;

/// The driver's end of the clerk.
pub(super) struct Clerk {
    asks: SyncSender<Option<u32>>,
    cluster: ClusterTag,
    node: NodeNumber,
    /// The highest serial of this node that was seen registered.
    highest: Option<u32>,
}

impl Clerk {
    /// Starts the thread; it ends when the clerk is dropped.
    ///
    /// # Errors
    /// When the OS has no thread to give.
    pub(super) fn start(
        serials: Serials,
        (cluster, node): (ClusterTag, NodeNumber),
        blocks: Sender<io::Result<Block>>,
        notices: Notices,
        alarm: Arc<Alarm>,
    ) -> io::Result<Self> {
        let (asks, asks_in) = sync_channel(ASKED_MAX);
        std::thread::Builder::new()
            .name(String::from("serials"))
            .spawn(move || work(serials, &asks_in, &blocks, &notices, &alarm))?;
        Ok(Self {
            asks,
            cluster,
            node,
            highest: None,
        })
    }

    /// Asks for a block of serials above what was seen so far.
    pub(super) fn ask(&self) {
        let asked = self.asks.try_send(self.highest);
        assert!(asked.is_ok(), "one block is asked for at a time");
    }

    /// Looks at what a path brought.
    pub(super) fn saw(&mut self, exchange: &Exchange) {
        if let Answer::Done(Reply::State(state)) = &exchange.answer {
            self.saw_state(state);
        }
    }

    fn saw_state(&mut self, state: &PersistentState) {
        let serials = state
            .registrations
            .iter()
            .filter_map(|registration| KeyParts::decode(registration.key))
            .filter(|parts| parts.cluster == self.cluster && parts.node == self.node)
            .map(|parts| parts.serial);
        self.highest = self.highest.into_iter().chain(serials).max();
    }
}

fn work(
    mut serials: Serials,
    asks: &Receiver<Option<u32>>,
    blocks: &Sender<io::Result<Block>>,
    notices: &Notices,
    alarm: &Alarm,
) {
    while let Ok(registered) = asks.recv() {
        let block = serials.take(registered).map(|(block, told)| {
            told.into_iter()
                .for_each(|notice| notices.tell(Happening::Serials(notice)));
            block
        });
        if blocks.send(block).is_err() {
            return;
        }
        alarm.ring();
    }
}
