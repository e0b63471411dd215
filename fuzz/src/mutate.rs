//! A bounded, deterministic set of mutations: what a careless disk does to an answer.

/// Bytes from the start in which single bits and bytes are changed: headers and first entries.
const REACH: usize = 160;
/// How many inputs with several random changes.
const SCRAMBLED: u64 = 64;

/// Every mutation of `seed`: cut, padded, with a bit flipped, with a byte at an extreme, and with several
/// bytes changed at random from a fixed start.
pub fn mutations(seed: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let reach = seed.len().min(REACH);
    let cut = (0..=reach).map(|length| seed[..length].to_vec());
    let padded = [1, 7, 64, 1024].into_iter().map(|more| {
        let mut bytes = seed.to_vec();
        bytes.resize(seed.len() + more, 0);
        bytes
    });
    let flipped = (0..reach * 8).map(|bit| changed(seed, bit / 8, |byte| byte ^ 1 << (bit % 8)));
    let extreme = (0..reach).flat_map(move |at| {
        [0x00, 0x01, 0x7f, 0x80, 0xff]
            .into_iter()
            .map(move |value| changed(seed, at, |_| value))
    });
    let scrambled = (1..=SCRAMBLED).map(|round| scramble(seed, round));
    cut.chain(padded)
        .chain(flipped)
        .chain(extreme)
        .chain(scrambled)
}

fn changed(seed: &[u8], at: usize, change: impl FnOnce(u8) -> u8) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    bytes[at] = change(bytes[at]);
    bytes
}

/// Changes up to eight bytes, at places and to values from an xorshift sequence.
fn scramble(seed: &[u8], round: u64) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    let mut state = round.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for _ in 0..=round % 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [value, low, high, ..] = state.to_le_bytes();
        let place = usize::from(u16::from_le_bytes([low, high]));
        if let Some(length) = std::num::NonZeroUsize::new(bytes.len()) {
            bytes[place % length] = value;
        }
    }
    bytes
}
