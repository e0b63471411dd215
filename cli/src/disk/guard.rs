//! What no operator's verb does to a disk, whatever is said on the command line: the accidents that have
//! no way back.

use scsi::disk::Disk;
use scsi::reservation::Key;

/// Why a reset, a clear, a preempt or an arbitration is refused on this disk: it is in use on this very
/// host.
pub(crate) fn in_use(disk: &Disk) -> Vec<String> {
    disk.usages
        .iter()
        .map(|usage| format!("this disk is in use on this host: {usage}"))
        .collect()
}

/// Why preempting this key is refused: it is one's own, on this path or on another one of this node.
pub(crate) fn own_key(victim: Key, key: Key) -> Option<String> {
    (victim == key).then(|| {
        format!(
            "{victim} is this host's own key: preempting it would remove every path of this host \
             that shares it"
        )
    })
}
