//! Numbers at the start of a text, read as C reads them: leading spaces are skipped, text after the number is ignored, and text
//! without a number is 0. The slice limits the text, not a NUL.

/// The flaw of a text that should be a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It does not begin with a number.
    NoNumber,
    /// More text follows it.
    MoreThanANumber,
    /// An `int` cannot hold it.
    OutOfRange,
}

/// A decimal number, as C's `atoi` reads it into an `int`: clamped to 64 bits, then cut to 32.
pub fn decimal(text: &[u8]) -> i32 {
    checked_decimal(text).0
}

/// As [`decimal`], with the flaw of the text.
pub fn checked_decimal(text: &[u8]) -> (i32, Option<Flaw>) {
    let (negative, digits) = sign(trim_start(text));
    integer(negative, digits, 10)
}

/// A number that may be hexadecimal (`0x10`) or octal (`010`), as C's `strtol` reads it in base 0.
pub fn any_base(text: &[u8]) -> i32 {
    checked_any_base(text).0
}

/// As [`any_base`], with the flaw of the text.
pub fn checked_any_base(text: &[u8]) -> (i32, Option<Flaw>) {
    let (negative, digits) = sign(trim_start(text));
    match digits {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => integer(negative, &digits[2..], 16),
        [b'0', ..] => integer(negative, digits, 8),
        _ => integer(negative, digits, 10),
    }
}

/// Whether all of a text is a number with a fraction.
pub fn is_float(text: &[u8]) -> bool {
    let (_, magnitude) = sign(trim_start(text));
    match magnitude {
        [b'0', b'x' | b'X', ..] => {
            magnitude[2..].iter().all(|byte| byte.is_ascii_hexdigit() || b".pP+-".contains(byte))
        }
        _ => std::str::from_utf8(magnitude)
            .is_ok_and(|text| !text.starts_with(['+', '-']) && text.parse::<f64>().is_ok()),
    }
}

/// A number with a fraction, as C's `strtod` reads it.
pub fn float(text: &[u8]) -> f64 {
    let (negative, text) = sign(trim_start(text));
    let magnitude = match text {
        [b'0', b'x' | b'X', hex @ ..] => hex_float(hex),
        [b'i' | b'I' | b'n' | b'N', ..] => word(text),
        _ => decimal_float(text),
    };
    if negative { -magnitude } else { magnitude }
}

fn trim_start(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| !matches!(byte, b' ' | b'\t'..=b'\r');
    &text[text.iter().position(blank).unwrap_or(text.len())..]
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

fn integer(negative: bool, digits: &[u8], base: u32) -> (i32, Option<Flaw>) {
    let (mut value, mut count) = (0_i64, 0);
    for digit in digits.iter().map_while(|&byte| char::from(byte).to_digit(base)) {
        let digit = i64::from(if negative { -(digit as i32) } else { digit as i32 });
        value = value.saturating_mul(i64::from(base)).saturating_add(digit);
        count += 1;
    }
    let flaw = if count == 0 {
        Some(Flaw::NoNumber)
    } else if i32::try_from(value).is_err() {
        Some(Flaw::OutOfRange)
    } else if count < digits.len() {
        Some(Flaw::MoreThanANumber)
    } else {
        None
    };
    (value as i32, flaw)
}

/// The longest prefix of the form `digits[.digits][e[sign]digits]`.
fn decimal_float(text: &[u8]) -> f64 {
    let whole = count_digits(text);
    let mut end = whole;
    if text.get(end) == Some(&b'.') {
        end += 1 + count_digits(&text[end + 1..]);
    }
    if end == 0 || &text[..end] == b"." {
        return 0.0;
    }
    if let Some(b'e' | b'E') = text.get(end) {
        let (_, exponent) = sign(&text[end + 1..]);
        let digits = count_digits(exponent);
        if digits > 0 {
            end = text.len() - exponent.len() + digits;
        }
    }
    std::str::from_utf8(&text[..end]).ok().and_then(|number| number.parse().ok()).unwrap_or(0.0)
}

fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// The part after `0x`: hexadecimal digits, a fraction, and `p` with a power of two.
fn hex_float(text: &[u8]) -> f64 {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let whole: Vec<u32> = text.iter().map_while(digit).collect();
    let mut rest = &text[whole.len()..];
    let mut fraction = Vec::new();
    if let [b'.', behind @ ..] = rest {
        fraction = behind.iter().map_while(digit).collect();
        rest = &behind[fraction.len()..];
    }
    let mut value = whole.iter().fold(0.0, |value, &digit| value * 16.0 + f64::from(digit));
    value += fraction.iter().rev().fold(0.0, |value, &digit| (value + f64::from(digit)) / 16.0);
    if let [b'p' | b'P', exponent @ ..] = rest {
        value *= 2_f64.powi(decimal(exponent).clamp(-2000, 2000));
    }
    value
}

/// `inf`, `infinity` or `nan` in upper or lower case, with anything after it.
fn word(text: &[u8]) -> f64 {
    match text.get(..3) {
        Some(start) if start.eq_ignore_ascii_case(b"inf") => f64::INFINITY,
        Some(start) if start.eq_ignore_ascii_case(b"nan") => f64::NAN,
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flaws_of_numbers_are_detected() {
        for (text, expected) in [
            ("15", (15, None)),
            (" -7", (-7, None)),
            ("0x1F", (31, None)),
            ("010", (8, None)),
            ("0", (0, None)),
            ("", (0, Some(Flaw::NoNumber))),
            ("abc", (0, Some(Flaw::NoNumber))),
            ("\"15\"", (0, Some(Flaw::NoNumber))),
            ("-", (0, Some(Flaw::NoNumber))),
            ("1m", (1, Some(Flaw::MoreThanANumber))),
            ("08", (0, Some(Flaw::MoreThanANumber))),
            ("0x", (0, Some(Flaw::MoreThanANumber))),
            ("2147483647", (i32::MAX, None)),
            ("2147483648", (i32::MIN, Some(Flaw::OutOfRange))),
            ("99999999999999999999", (-1, Some(Flaw::OutOfRange))),
        ] {
            assert_eq!(checked_any_base(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(checked_decimal(b"80x"), (80, Some(Flaw::MoreThanANumber)));
    }

    #[test]
    fn integers_may_be_octal_or_hexadecimal_and_wrap_like_a_c_int() {
        let cases = [
            ("0x10", 16),
            ("010", 8),
            ("-3", -3),
            ("+4junk", 4),
            ("junk", 0),
            ("", 0),
            ("0x", 0),
            ("08", 0),
            (" \t7", 7),
            ("4294967297", 1),
            ("99999999999999999999", -1),
            ("-99999999999999999999", 0),
        ];
        for (text, value) in cases {
            assert_eq!(any_base(text.as_bytes()), value, "{text}");
        }
        assert_eq!((decimal(b"010"), decimal(b"0x10"), decimal(b"-12:3")), (10, 0, -12));
    }

    #[test]
    fn floats_are_the_longest_prefix_that_is_a_number() {
        let cases = [
            ("1.5x", 1.5),
            ("+.5", 0.5),
            (".", 0.0),
            ("1e", 1.0),
            ("1e+", 1.0),
            ("2.e2", 200.0),
            ("1e400", f64::INFINITY),
            ("0x10", 16.0),
            ("-0x1.8p3", -12.0),
            ("0xg", 0.0),
            ("-infinity", f64::NEG_INFINITY),
            ("in", 0.0),
            ("", 0.0),
        ];
        for (text, value) in cases {
            assert_eq!(float(text.as_bytes()), value, "{text}");
        }
        assert!(float(b"NaN").is_nan());
    }
}
