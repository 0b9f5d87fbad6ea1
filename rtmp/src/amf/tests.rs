use super::*;

/// One value of every kind that AMF0 can carry, two levels deep.
const EVERYTHING: &[u8] = &[
    0x02, 0, 2, b'h', b'i', // "hi"
    0x00, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0, // 1.5
    0x05, 0x06, 0x0D, // null, undefined, unsupported
    0x03, // object
    0, 1, b'b', 0x01, 0x07, // b: true
    0, 1, b'e', 0x08, 0, 0, 0, 99, // e: ECMA array, wrong count
    0, 1, b'l', 0x0C, 0, 0, 0, 1, b'x', // l: long string
    0, 0, 9, 0, 0, 9, // ends of e and of the object
    0x0A, 0, 0, 0, 2, // strict array of two
    0x0B, 0x40, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xC4, // date 2.0, zone -60
    0x0F, 0, 0, 0, 1, b'<', // XML
    0x11, 0x0A, 0x0B, 0x01, 0x03, b'a', 0x04, 0x05, 0x01, // AMF3 object {a: 5}
];

#[test]
fn every_kind_of_value_is_decoded() {
    let list = decode(EVERYTHING).unwrap();
    assert_eq!(list.len(), 8);
    assert_eq!(list.get(0).unwrap().value.as_string(), Some(&b"hi"[..]));
    assert_eq!(list.get(1).unwrap().value.as_number(), Some(1.5));
    assert!((2..5).all(|index| list.get(index).unwrap().value == Value::Null));
    let object = list.get(5).unwrap().value.as_object().unwrap();
    assert_eq!(object.find(b"b").and_then(Value::as_boolean), Some(true));
    assert_eq!(object.find(b"l"), None);
    assert_eq!(object.find_deep(b"l").and_then(Value::as_string), Some(&b"x"[..]));
    let Value::StrictArray(array) = &list.get(6).unwrap().value else { panic!("no strict array: {list:?}") };
    assert_eq!(array.get(0).unwrap().value, Value::Date { millis: 2.0, utc_offset: -60 });
    assert_eq!(array.get(1).unwrap().value, Value::XmlDocument(b"<"));
    let amf3 = list.get(7).unwrap().value.as_object().unwrap();
    assert_eq!(amf3.iter().collect::<Vec<_>>(), [&Property { name: b"a", value: Value::Number(5.0) }]);
}

#[test]
fn what_was_decoded_before_an_error_stays() {
    let mut list = Properties::default();
    assert!(amf0::decode_into(&mut list, &[0x05, 0x01, 0x01, 0x02, 0xFF], false).is_err());
    assert_eq!(list.len(), 2);
}

#[test]
fn deep_search_looks_into_objects_and_ecma_arrays_but_prefix_search_only_into_objects() {
    let mut encoder = Encoder::new();
    encoder.begin_ecma_array(1).named_number(b"audiocodecid", 10.0).end_object();
    let array = encoder.take();
    let list = decode(&array).unwrap();
    assert!(list.find_deep(b"audiocodecid").is_some());
    assert!(!list.has_prefix_property(b"audio"));
    encoder.begin_object().named_number(b"audiocodecid", 10.0).end_object();
    let object = encoder.finish();
    let list = decode(&object).unwrap();
    assert!(list.has_prefix_property(b"audio"));
    assert!(!list.has_prefix_property(b"audiocodecid"));
}

#[test]
fn encoded_values_decode_to_themselves() {
    for len in [0, 1, 255, 65_535, 65_536, 70_000] {
        let text = vec![b'x'; len];
        for number in [0.0, -0.0, 1.0, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY] {
            let mut encoder = Encoder::new();
            encoder.string(&text).number(number).boolean(true).null();
            encoder
                .begin_object()
                .named_string(b"s", &text)
                .name(b"o")
                .begin_object()
                .end_object()
                .end_object();
            encoder
                .begin_ecma_array(2)
                .named_boolean(b"", false)
                .named_number(&[0xFF; 65_535], number)
                .end_object();
            let bytes = encoder.finish();
            let list = decode(&bytes).unwrap();
            assert_eq!(list.len(), 6);
            assert_eq!(list.get(0).unwrap().value.as_string(), Some(&text[..]));
            assert_eq!(list.get(1).unwrap().value.as_number().map(f64::to_bits), Some(number.to_bits()));
            assert_eq!(list.get(2).unwrap().value.as_boolean(), Some(true));
            assert_eq!(list.get(3).unwrap().value, Value::Null);
            assert_eq!(list.find_deep(b"s").and_then(Value::as_string), Some(&text[..]));
            assert!(list.find_deep(b"o").and_then(Value::as_object).is_some_and(Properties::is_empty));
            assert_eq!(list.find_deep(&[0xFF; 65_535]).and_then(Value::as_number), Some(number));
        }
    }
}

#[test]
fn a_long_string_is_encoded_with_a_32_bit_length() {
    let mut encoder = Encoder::new();
    encoder.string(&[b'x'; 65_536]);
    let bytes = encoder.finish();
    assert_eq!(bytes[..6], [0x0C, 0, 1, 0, 0, b'x']);
    assert_eq!(bytes.len(), 65_541);
}

#[test]
fn a_name_that_the_format_cannot_hold_is_cut() {
    let mut encoder = Encoder::new();
    encoder.begin_object().named_boolean(&[b'n'; 65_540], true).end_object();
    let bytes = encoder.finish();
    let list = decode(&bytes).unwrap();
    assert_eq!(list.find_deep(&[b'n'; 65_535]).and_then(Value::as_boolean), Some(true));
}

#[test]
fn prefixes_and_changed_bytes_are_decoded_or_refused() {
    for len in 0..EVERYTHING.len() {
        let prefix = &EVERYTHING[..len];
        if let Ok(list) = decode(prefix) {
            assert!(list.len() <= 8);
        }
    }
    let mut bytes = EVERYTHING.to_vec();
    for at in 0..bytes.len() {
        for value in 0..=255 {
            bytes[at] = value;
            let mut list = Properties::default();
            if let Ok(consumed) = amf0::decode_into(&mut list, &bytes, false) {
                assert!(consumed <= bytes.len());
            }
        }
        bytes[at] = EVERYTHING[at];
    }
}

#[test]
fn nesting_has_a_bound_and_needs_little_stack() {
    let units: [(&[u8], &[u8]); 4] = [
        (&[0x03], &[0, 1, b'a', 0x03]),
        (&[0x08, 0, 0, 0, 0], &[0, 1, b'a', 0x08, 0, 0, 0, 0]),
        (&[], &[0x0A, 0, 0, 0, 1]),
        (&[0x11, 0x0A, 0x0B, 0x01], &[0x03, b'a', 0x0A, 0x0B, 0x01]),
    ];
    for (first, unit) in units {
        on_a_small_stack(move || {
            let levels = usize::from(!first.is_empty());
            let nested = |count: usize| {
                [first, &unit.repeat(count - levels), &[0x05][..usize::from(levels == 0)]].concat()
            };
            let deepest = nested(MAX_DEPTH);
            assert_eq!(decode(&deepest).map(|list| list.len()).ok(), Some(1));
            assert!(decode(&nested(MAX_DEPTH + 1)).is_err());
            assert!(decode(&nested(100_000)).is_err());
        });
    }
}

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(64 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn values_are_few_enough_to_be_kept() {
    let most = vec![amf0::NULL; MAX_VALUES];
    assert_eq!(decode(&most).unwrap().iter().count(), MAX_VALUES);
    assert!(decode(&[&most[..], &[amf0::NULL]].concat()).is_err());
    // Members of members count, too.
    let pair = [&[0x0A, 0, 0, 0, 1][..], &[amf0::NULL]].concat();
    assert!(decode(&pair.repeat(MAX_VALUES / 2 + 1)).is_err());
    let member = [&b"\x03a"[..], &[0x01]].concat();
    let object = [&[0x0B, 0x01][..], &member.repeat(MAX_VALUES + 1), &[0x01]].concat();
    assert!(amf3::decode_into(&mut Properties::default(), &object, false).is_err());
}
