//! The source of random bytes: protocol code receives it from its caller and uses no other.

use crate::error::{Error, Result};

/// Fills a slice with unpredictable random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]) -> Result<()>;

/// The operating system's random bytes.
pub fn system(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|_| Error::Unsupported("a source of random bytes"))
}

/// Fills a slice with bytes that differ each time, but can be predicted from a part of them. The system takes 9 us for the 1,536
/// bytes of a handshake's block, and 0.6 us for those that are requested here.
pub(crate) fn fill_predictably(bytes: &mut [u8], random: Random<'_>) -> Result<()> {
    let mut seed = [0; 8];
    random(&mut seed)?;
    let mut state = u64::from_le_bytes(seed);
    // SplitMix64.
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = state;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ word >> 31).to_le_bytes()
    };
    let mut words = bytes.chunks_exact_mut(8);
    words.by_ref().for_each(|word| word.copy_from_slice(&next()));
    let rest = words.into_remainder();
    rest.copy_from_slice(&next()[..rest.len()]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictable_bytes_follow_from_their_seed_and_do_not_repeat() {
        let fill = |seed: u8, len| {
            let mut bytes = vec![0; len];
            let mut random = |bytes: &mut [u8]| {
                bytes.fill(seed);
                Ok(())
            };
            fill_predictably(&mut bytes, &mut random).unwrap();
            bytes
        };
        let block = fill(1, 1536);
        assert!(block == fill(1, 1536) && block[..1531] == fill(1, 1531) && block != fill(2, 1536));
        let mut words: Vec<_> = block.chunks(8).collect();
        words.sort_unstable();
        assert!(words.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
