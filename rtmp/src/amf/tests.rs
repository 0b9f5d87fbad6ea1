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
fn values_before_an_error_stay() {
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
    // Each frame has 160 bytes more on s390x, and without optimization a level takes several frames.
    let size = if cfg!(target_arch = "s390x") { 256 } else { 64 };
    std::thread::Builder::new().stack_size(size * 1024).spawn(work).unwrap().join().unwrap();
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

/// The value after an AMF0 marker for AMF3.
fn amf3(bytes: &[u8]) -> Vec<u8> {
    [&[0x11], bytes].concat()
}

#[test]
fn amf3_values_are_decoded_among_amf0_values() {
    let cases: [(&[u8], Value<'_>); 16] = [
        (&[0x00], Value::Null),
        (&[0x01], Value::Null),
        (&[0x02], Value::Boolean(false)),
        (&[0x03], Value::Boolean(true)),
        (&[0x04, 0x07], Value::Number(7.0)),
        (&[0x04, 0xFF, 0xFF, 0xFF, 0xFF], Value::Number(-1.0)),
        (&[0x05, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0], Value::Number(1.0)),
        (&[0x06, 0x05, b'h', b'i'], Value::String(b"hi")),
        (&[0x07, 0x03, b'<'], Value::String(b"<")),
        (&[0x08, 0x01, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0], Value::Number(1.0)),
        (&[0x09, 0x00], Value::Invalid), // an array that was sent before
        (&[0x0B, 0x03, b'<'], Value::String(b"<")),
        (&[0x0C, 0x05, 1, 2], Value::Invalid), // bytes
        (&[0x0D, 0x05, 0, 0, 0, 0, 1, 0, 0, 0, 2], Value::Invalid), // vector of integers
        (&[0x0E, 0x03, 0, 0, 0, 0, 1], Value::Invalid),
        (&[0x0F, 0x03, 0, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0], Value::Invalid),
    ];
    for (bytes, value) in cases {
        let input = [amf3(bytes), vec![0x05]].concat();
        let list = decode(&input).unwrap_or_else(|error| panic!("{bytes:02x?}: {error}"));
        let expected = [value, Value::Null].map(|value| Property { name: b"", value });
        assert_eq!(list.iter().cloned().collect::<Vec<_>>(), expected, "{bytes:02x?}");
    }
}

#[test]
fn amf3_arrays_keep_their_members() {
    // Two values without names, one of them an array with a name in it.
    let input = amf3(&[0x09, 0x05, 0x01, 0x04, 1, 0x09, 0x01, 0x03, b'a', 0x03, 0x01]);
    let list = decode(&input).unwrap();
    let Value::StrictArray(outer) = &list.get(0).unwrap().value else { panic!("{list:?}") };
    assert_eq!(outer.get(0).unwrap().value, Value::Number(1.0));
    let Value::EcmaArray(inner) = &outer.get(1).unwrap().value else { panic!("{list:?}") };
    assert_eq!(inner.find(b"a"), Some(&Value::Boolean(true)));
    // A vector of objects, and a dictionary of one key and one value.
    for input in [&[0x10, 0x03, 0, 0x01, 0x04, 9][..], &[0x11, 0x03, 0, 0x04, 9, 0x04, 9]] {
        let input = amf3(input);
        let list = decode(&input).unwrap();
        let Value::StrictArray(items) = &list.get(0).unwrap().value else { panic!("{list:?}") };
        assert!(items.iter().all(|item| item.value == Value::Number(9.0)) && !items.is_empty());
    }
}

#[test]
fn amf3_values_refer_to_strings_and_classes_of_the_same_value() {
    // An array of two objects of one class, the second by reference, and "code" as a value by reference.
    let object = [0x0A, 0x13, 0x03, b'C', 0x09, b'c', b'o', b'd', b'e', 0x06, 0x03, b'x'];
    let again = [0x0A, 0x01, 0x06, 0x02];
    let input = amf3(&[&[0x09, 0x05, 0x01][..], &object, &again].concat());
    let list = decode(&input).unwrap();
    let Value::StrictArray(objects) = &list.get(0).unwrap().value else { panic!("{list:?}") };
    let code = |index| {
        let object = objects.get(index).and_then(|object: &Property<'_>| object.value.as_object());
        object.and_then(|object| object.find(b"code")).and_then(Value::as_string)
    };
    assert_eq!((code(0), code(1)), (Some(&b"x"[..]), Some(&b"code"[..])));
    // Each value has its own tables.
    let input = [amf3(&[0x06, 0x03, b'x']), amf3(&[0x06, 0x00])].concat();
    assert_eq!(decode(&input).unwrap().get(1).unwrap().value, Value::String(b""));
}

#[test]
fn typed_objects_and_references_do_not_end_a_list() {
    let input = [
        &[0x10, 0, 1, b'C', 0, 1, b'a', 0x01, 0x01, 0, 0, 9][..], // an object of class C
        &[0x07, 0, 1],                                            // a reference
        &[0x05],
    ]
    .concat();
    let list = decode(&input).unwrap();
    assert_eq!(list.get(0).unwrap().value.as_object().unwrap().find(b"a"), Some(&Value::Boolean(true)));
    assert_eq!((&list.get(1).unwrap().value, &list.get(2).unwrap().value), (&Value::Invalid, &Value::Null));
}

#[test]
fn hostile_amf3_is_bounded() {
    // Lengths beyond the data, for everything that has one.
    for marker in [0x06, 0x07, 0x09, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10, 0x11] {
        for len in [&[0x7F][..], &[0xFF, 0xFF, 0xFF, 0xFF], &[0xBF, 0xFF, 0xFF, 0xFF]] {
            assert!(decode(&amf3(&[&[marker], len].concat())).is_err(), "{marker:02x} {len:02x?}");
        }
    }
    let deep: Vec<u8> = [0x09, 0x03, 0x01].repeat(1000);
    assert!(decode(&amf3(&deep)).is_err());
    // A class of many members, and many objects of it without any.
    let names: Vec<u8> = [0x03, b'a'].repeat(1000);
    let class = [&[0x0A, 0x80 | 0x7D, 0x43, 0x01][..], &names].concat();
    let input = amf3(&[&[0x09, 0x8F, 0x51, 0x01][..], &class].concat());
    let _ = decode(&input);
    // More strings than values are allowed.
    let mut many = vec![0x09, 0x80, 0xC0, 0x80, 0x03, 0x01];
    many.extend([0x06, 0x03, b'x'].repeat(MAX_VALUES));
    assert!(decode(&amf3(&many)).is_err());
}
