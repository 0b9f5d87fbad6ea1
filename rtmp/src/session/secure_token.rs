//! SecureToken: the answer to a challenge in the result of `connect`, deciphered with a key that both sides know.
//!
//! The cipher is XXTEA, of which only deciphering is needed; no maintained crate offers it.

const DELTA: u32 = 0x9E37_79B9;

/// Challenges are a few dozen bytes; this is far more than any server sends.
const MAX_CHALLENGE: usize = 4096;

/// Deciphers a challenge of hexadecimal digits; `None` if it is not one.
pub(super) fn answer(key: &[u8], challenge: &[u8]) -> Option<Vec<u8>> {
    if challenge.is_empty() || challenge.len() > MAX_CHALLENGE || challenge.len() % 2 != 0 {
        return None;
    }
    let mut bytes = Vec::with_capacity(challenge.len() / 2);
    for pair in challenge.chunks_exact(2) {
        let digit = |byte: u8| char::from(byte).to_digit(16);
        bytes.push((digit(pair[0])? << 4 | digit(pair[1])?) as u8);
    }
    let mut key_bytes = [0; 16];
    let used = key.len().min(16);
    key_bytes[..used].copy_from_slice(&key[..used]);
    let mut words = to_words(&bytes);
    decipher(&mut words, to_words(&key_bytes).try_into().ok()?);
    let mut answer: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    answer.truncate(bytes.len());
    Some(answer)
}

fn to_words(bytes: &[u8]) -> Vec<u32> {
    bytes
        .chunks(4)
        .map(|chunk| chunk.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
        .collect()
}

fn decipher(words: &mut [u32], key: [u32; 4]) {
    let count = words.len();
    if count < 2 {
        return;
    }
    let rounds = 6 + 52 / count as u32;
    let mut sum = rounds.wrapping_mul(DELTA);
    let mut right = words[0];
    while sum != 0 {
        let select = sum >> 2 & 3;
        for index in (0..count).rev() {
            let left = words[if index > 0 { index - 1 } else { count - 1 }];
            let mixed = (left >> 5 ^ right << 2).wrapping_add(right >> 3 ^ left << 4)
                ^ (sum ^ right).wrapping_add(key[(index as u32 & 3 ^ select) as usize] ^ left);
            right = words[index].wrapping_sub(mixed);
            words[index] = right;
        }
        sum = sum.wrapping_sub(DELTA);
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn measured_challenges_have_their_measured_answers() {
        for (key, challenge, expected) in [
            (
                "foobar",
                "58656322c972d6cdf2d776167575045f8484ea888e31c086f7b5ffbd0baec55ce442c2fb",
                "dbd359b312be046fabd2233d73bccb091f9cba8729bacfd6e454323c8454c169beacacc8",
            ),
            ("0123456789abcdefXYZ", "00112233445566778899aabbccddeeff", "313a996f0baad324d780841bc5b92b9e"),
            ("k", "0011223344556677", "5e69ef2f30f71c6d"),
        ] {
            assert_eq!(hex(&answer(key.as_bytes(), challenge.as_bytes()).unwrap()), expected);
        }
    }

    #[test]
    fn challenges_that_are_not_hexadecimal_have_no_answer() {
        for challenge in ["", "0", "zz", "0011223344556677 "] {
            assert_eq!(answer(b"key", challenge.as_bytes()), None);
        }
    }
}
