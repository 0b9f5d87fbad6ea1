#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every pointer here is null or points to data of the test"
)]

use std::ptr;

use libc::{c_char, c_int};

use super::{access::*, decode::*, dump::*, encode::*, plain::*, search::*, *};
use crate::ptr::from_c as c;

fn aval(text: &'static [u8]) -> AVal {
    AVal { av_val: text.as_ptr().cast_mut().cast(), av_len: c_int::try_from(text.len()).unwrap() }
}

fn property(name: &'static [u8]) -> AMFObjectProperty {
    AMFObjectProperty { p_name: aval(name), ..AMFObjectProperty::INVALID }
}

/// A tree that only a program can build: `levels` objects inside each other, the innermost with a number.
fn tree(levels: usize) -> AMFObject {
    let mut object = AMFObject::EMPTY;
    let mut innermost = property(b"needle");
    unsafe {
        AMFProp_SetNumber(c(&mut innermost), 7.0);
        AMF_AddProp(&mut object, &innermost);
        for _ in 1..levels {
            let mut outer = AMFObject::EMPTY;
            let mut member = property(b"o");
            AMFProp_SetObject(c(&mut member), c(&mut object));
            AMF_AddProp(&mut outer, &member);
            object = outer;
        }
    }
    object
}

#[test]
fn trees_of_any_depth_are_searched_encoded_dumped_and_freed_on_a_small_stack() {
    let work = || unsafe {
        let mut object = tree(100_000);
        let mut found = AMFObjectProperty::INVALID;
        assert_eq!(RTMP_FindFirstMatchingProperty(c(&mut object), c(&mut aval(b"needle")), c(&mut found)), 1);
        assert_eq!(AMFProp_GetNumber(c(&mut found)), 7.0);
        assert_eq!(RTMP_FindPrefixProperty(c(&mut object), c(&mut aval(b"need")), c(&mut found)), 1);
        assert_eq!(RTMP_FindPrefixProperty(c(&mut object), c(&mut aval(b"needle")), c(&mut found)), 0);

        let mut buffer = vec![0 as c_char; 1_000_000];
        let end = buffer.as_mut_ptr_range().end;
        let after = AMF_Encode(c(&mut object), c(buffer.as_mut_ptr()), c(end));
        // Names of one byte for all levels except one, and a marker and an end for each.
        let expected = 99_999 * 3 + (2 + 6 + 9) + 100_000 * (1 + 3);
        assert_eq!(after as usize - buffer.as_ptr() as usize, expected);

        AMF_Dump(c(&mut object));
        AMF_Reset(&mut object);
        assert_eq!(AMF_CountProp(c(&mut object)), 0);
    };
    std::thread::Builder::new().stack_size(64 * 1024).spawn(work).unwrap().join().unwrap();
}

/// An object that cannot be ended counts as a member that failed, wherever it is.
#[test]
fn a_nested_object_without_room_for_its_end_is_left_out() {
    let mut object = tree(2);
    let mut buffer = [0 as c_char; 64];
    let whole = [&b"\x03\0\x01o\x03\0\x06needle\0\x40\x1C\0\0\0\0\0\0\0\0\x09"[..], b"\0\0\x09"].concat();
    assert_eq!(whole.len(), 28);
    for room in 0..=whole.len() + 2 {
        let start = buffer.as_mut_ptr();
        let after = unsafe { AMF_Encode(c(&mut object), c(start), c(start.add(room))) };
        let written = (!after.is_null()).then(|| after as usize - start as usize);
        let expected = match room {
            0..5 => None,
            // There is no room for the beginning of the member.
            5..9 => Some(4),
            // The inner object is empty, because its member does not fit; at first there is no room for the outer end.
            9..12 => None,
            12..22 => Some(11),
            // The inner object's member fits, but its end does not.
            22..26 => Some(4),
            // The inner object fits, but the outer end does not.
            26..29 => None,
            _ => Some(28),
        };
        assert_eq!(written, expected, "into {room} bytes");
        let Some(written) = written else { continue };
        let bytes: Vec<u8> = buffer[..written].iter().map(|&byte| byte as u8).collect();
        match written {
            4 => assert_eq!(bytes, b"\x03\0\0\x09"),
            11 => assert_eq!(bytes, b"\x03\0\x01o\x03\0\0\x09\0\0\x09"),
            _ => assert_eq!(bytes, whole),
        }
    }
    unsafe { AMF_Reset(&mut object) };
}

#[test]
fn properties_are_found_by_index_and_by_name() {
    let mut list = AMFObject::EMPTY;
    let object = &raw mut list;
    unsafe {
        for index in 0..40 {
            let mut member = property(if index == 30 { b"thirty" } else { b"other" });
            AMFProp_SetNumber(c(&mut member), f64::from(index));
            AMF_AddProp(object, &member);
            // A property of the list itself may be appended although the list moves.
            AMF_AddProp(object, AMF_GetProp(c(object), c(ptr::null_mut()), 2 * index));
        }
        assert_eq!(AMF_CountProp(c(object)), 80);
        for index in 0..80 {
            assert_eq!(
                AMFProp_GetNumber(c(AMF_GetProp(c(object), c(ptr::null_mut()), index))),
                f64::from(index / 2)
            );
        }
        let found = AMF_GetProp(c(object), c(&mut aval(b"thirty")), -1);
        assert_eq!(found, AMF_GetProp(c(object), c(ptr::null_mut()), 60));
        for missing in [
            AMF_GetProp(c(object), c(&mut aval(b"thirt")), -1),
            AMF_GetProp(c(object), c(ptr::null_mut()), 80),
        ] {
            assert_eq!(AMFProp_IsValid(c(missing)), 0);
            assert_eq!(AMFProp_GetNumber(c(missing)), 0.0);
        }
        AMF_Reset(object);
        assert!(list.o_props.is_null());
    }
}

#[test]
fn getters_give_nothing_for_other_types() {
    let mut text = AVal::EMPTY;
    let mut members = AMFObject::EMPTY;
    let mut member = property(b"name");
    unsafe {
        AMFProp_SetString(c(&mut member), c(&mut aval(b"text")));
        AMFProp_GetString(c(&mut member), c(&mut text));
        assert_eq!(text.av_len, 4);
        assert_eq!((AMFProp_GetNumber(c(&mut member)), AMFProp_GetBoolean(c(&mut member))), (0.0, 0));
        AMFProp_GetObject(c(&mut member), c(&mut members));
        assert_eq!(members.o_num, 0);

        AMFProp_SetBoolean(c(&mut member), 5);
        assert_eq!((AMFProp_GetNumber(c(&mut member)), AMFProp_GetBoolean(c(&mut member))), (1.0, 1));
        AMFProp_GetString(c(&mut member), c(&mut text));
        assert!(text.av_val.is_null());

        let mut object = tree(1);
        AMFProp_SetObject(c(&mut member), c(&mut object));
        AMFProp_GetObject(c(&mut member), c(&mut members));
        assert_eq!((members.o_num, members.o_props), (1, object.o_props));
        member.p_type = AMF_ECMA_ARRAY;
        AMFProp_GetObject(c(&mut member), c(&mut members));
        assert!(members.o_props.is_null());
        AMFProp_Reset(&mut member);
        assert_eq!(AMFProp_GetType(c(&mut member)), AMF_INVALID);
        AMFProp_GetName(c(&mut member), c(&mut text));
        assert_eq!(text.av_len, 4);
    }
}

#[test]
fn arrays_are_searched_as_librtmp_does() {
    for (kind, first, prefix) in [(AMF_OBJECT, 1, 1), (AMF_ECMA_ARRAY, 1, 0), (AMF_STRICT_ARRAY, 0, 0)] {
        let mut object = tree(2);
        let mut found = AMFObjectProperty::INVALID;
        unsafe {
            (*object.o_props).p_type = kind;
            assert_eq!(
                RTMP_FindFirstMatchingProperty(c(&mut object), c(&mut aval(b"needle")), c(&mut found)),
                first
            );
            assert_eq!(RTMP_FindPrefixProperty(c(&mut object), c(&mut aval(b"n")), c(&mut found)), prefix);
            AMF_Reset(&mut object);
        }
    }
}

#[test]
fn lengths_that_the_format_cannot_hold_are_refused() {
    let long = vec![b'n'; 70_000];
    let mut buffer = vec![0 as c_char; 200_000];
    let range = buffer.as_mut_ptr_range();
    let too_long = AVal { av_val: long.as_ptr().cast_mut().cast(), av_len: 70_000 };
    let mut negative = AVal { av_len: -1, ..aval(b"text") };
    let mut without_bytes = AVal { av_len: 4, ..AVal::EMPTY };
    unsafe {
        for mut name in [too_long, negative, without_bytes] {
            assert!(AMF_EncodeNamedNumber(c(range.start), c(range.end), c(&mut name), 1.0).is_null());
            let mut member = AMFObjectProperty { p_name: name, ..AMFObjectProperty::INVALID };
            AMFProp_SetNumber(c(&mut member), 1.0);
            assert!(AMFProp_Encode(c(&mut member), c(range.start), c(range.end)).is_null());
        }
        assert!(AMF_EncodeString(c(range.start), c(range.end), c(&mut negative)).is_null());
        assert!(AMF_EncodeString(c(range.start), c(range.end), c(&mut without_bytes)).is_null());
        assert!(AMF_EncodeInt32(c(range.end), c(range.start), 1).is_null());
    }
}

#[test]
fn decoded_messages_encode_to_the_same_bytes() {
    let mut encoder = rtmp_core::amf::Encoder::new();
    encoder.string(b"connect").number(1.0).begin_object();
    for name in [&b"app"[..], b"flashVer", b"tcUrl"] {
        encoder.named_string(name, &[b'x'; 300]).named_boolean(name, true).named_number(name, -0.5);
    }
    encoder.name(b"nested").begin_ecma_array(1).named_string(b"s", &[b'y'; 65_536]).end_object().end_object();
    let input = encoder.finish();
    let mut object = AMFObject::EMPTY;
    let mut output = vec![0_u8; input.len() + 2];
    let range = output.as_mut_ptr_range();
    unsafe {
        let ret = AMF_Decode(c(&mut object), input.as_ptr().cast(), c_int::try_from(input.len()).unwrap(), 0);
        assert_eq!(usize::try_from(ret), Ok(input.len()));
        let mut next = range.start.cast();
        for index in 0..AMF_CountProp(c(&mut object)) {
            next = AMFProp_Encode(
                c(AMF_GetProp(c(&mut object), c(ptr::null_mut()), index)),
                c(next),
                c(range.end.cast()),
            );
            assert!(!next.is_null());
        }
        AMF_Reset(&mut object);
    }
    assert_eq!(output[..input.len()], input);
}

#[test]
fn null_pointers_give_the_failure_value() {
    let (nothing, mut room) = (ptr::null_mut::<c_char>(), [0 as c_char; 16]);
    let start = room.as_mut_ptr();
    let (mut object, mut member) = (AMFObject::EMPTY, AMFObjectProperty::INVALID);
    let (mut text, mut integer) = (aval(b"text"), 0);
    let no_object = ptr::null_mut::<AMFObject>();
    let no_member = ptr::null_mut::<AMFObjectProperty>();
    let no_text = ptr::null_mut::<AVal>();
    unsafe {
        let end = start.add(room.len());
        assert!(AMF_EncodeString(None, c(end), c(&mut text)).is_null());
        assert!(AMF_EncodeString(c(start), None, c(&mut text)).is_null());
        assert!(AMF_EncodeString(c(start), c(end), c(no_text)).is_null());
        assert!(AMF_EncodeNumber(None, None, 1.0).is_null());
        assert!(AMF_EncodeInt16(None, None, 1).is_null());
        assert!(AMF_EncodeInt24(None, None, 1).is_null());
        assert!(AMF_EncodeInt32(None, None, 1).is_null());
        assert!(AMF_EncodeBoolean(None, None, 1).is_null());
        assert!(AMF_EncodeNamedString(c(start), c(end), c(no_text), c(&mut text)).is_null());
        assert!(AMF_EncodeNamedString(c(start), c(end), c(&mut text), c(no_text)).is_null());
        assert!(AMF_EncodeNamedNumber(c(start), c(end), c(no_text), 1.0).is_null());
        assert!(AMF_EncodeNamedBoolean(c(start), c(end), c(no_text), 1).is_null());
        assert!(AMF_Encode(c(no_object), c(start), c(end)).is_null());
        assert!(AMF_EncodeEcmaArray(c(no_object), c(start), c(end)).is_null());
        assert!(AMF_EncodeArray(c(no_object), c(start), c(end)).is_null());
        assert!(AMFProp_Encode(c(no_member), c(start), c(end)).is_null());
        assert!(AMF_Encode(c(&mut object), None, None).is_null());

        assert_eq!(AMF_DecodeInt16(c(nothing.cast())), 0);
        assert_eq!(AMF_DecodeInt24(c(nothing.cast())), 0);
        assert_eq!(AMF_DecodeInt32(c(nothing.cast())), 0);
        assert_eq!(AMF_DecodeBoolean(c(nothing.cast())), 0);
        assert_eq!(AMF_DecodeNumber(c(nothing.cast())), 0.0);
        AMF_DecodeString(c(nothing.cast()), c(&mut text));
        AMF_DecodeString(c(start.cast()), c(no_text));
        AMF_DecodeLongString(c(nothing.cast()), c(&mut text));
        AMF_DecodeLongString(c(start.cast()), c(no_text));
        assert_eq!(AMF3ReadInteger(nothing, c(&mut integer)), 0);
        assert_eq!(AMF3ReadInteger(start, c(ptr::null_mut())), 0);
        assert_eq!(AMF3ReadString(nothing, c(&mut text)), 0);
        assert_eq!(AMF3ReadString(start, c(no_text)), 0);

        assert_eq!(AMF_Decode(c(no_object), start, 4, 0), -1);
        assert_eq!(AMF_DecodeArray(c(no_object), start, 4, 1, 0), -1);
        assert_eq!(AMF3_Decode(c(no_object), start, 4, 0), -1);
        assert_eq!(AMF3_Decode(c(&mut object), nothing, 4, 0), -1);
        assert_eq!(AMFProp_Decode(c(no_member), start, 4, 0), -1);
        assert_eq!(AMF3Prop_Decode(c(no_member), start, 4, 0), -1);

        AMF_Dump(c(no_object));
        AMFProp_Dump(c(no_member));
        AMF_Reset(no_object);
        AMFProp_Reset(no_member);
        AMF_AddProp(no_object, &member);
        AMF_AddProp(&mut object, no_member);
        assert_eq!(AMF_CountProp(c(&mut object)), 0);
        assert_eq!(AMF_CountProp(c(no_object)), 0);
        assert_eq!(AMFProp_GetType(c(AMF_GetProp(c(no_object), c(&mut text), 0))), AMF_INVALID);
        assert_eq!(AMFProp_GetType(c(no_member)), AMF_INVALID);
        assert_eq!(AMFProp_IsValid(c(no_member)), 0);
        assert_eq!(AMFProp_GetNumber(c(no_member)), 0.0);
        assert_eq!(AMFProp_GetBoolean(c(no_member)), 0);
        AMFProp_SetNumber(c(no_member), 1.0);
        AMFProp_SetBoolean(c(no_member), 1);
        AMFProp_SetString(c(no_member), c(&mut text));
        AMFProp_SetString(c(&mut member), c(no_text));
        AMFProp_SetObject(c(no_member), c(&mut object));
        AMFProp_SetObject(c(&mut member), c(no_object));
        AMFProp_SetName(c(no_member), c(&mut text));
        AMFProp_SetName(c(&mut member), c(no_text));
        assert_eq!((member.p_type, member.p_name.av_len), (AMF_INVALID, 0));
        AMFProp_GetName(c(no_member), c(&mut text));
        assert!(text.av_val.is_null());
        text = aval(b"text");
        AMFProp_GetString(c(no_member), c(&mut text));
        assert!(text.av_val.is_null());
        AMFProp_GetString(c(&mut member), c(no_text));
        AMFProp_GetName(c(&mut member), c(no_text));
        object.o_num = 3;
        AMFProp_GetObject(c(no_member), c(&mut object));
        assert_eq!(object.o_num, 0);
        AMFProp_GetObject(c(&mut member), c(no_object));

        AMF3CD_AddProp(ptr::null_mut(), &mut text);
        assert_eq!((*AMF3CD_GetProp(c(ptr::null_mut()), 0)).av_len, 0);

        assert_eq!(RTMP_FindFirstMatchingProperty(c(no_object), c(&mut text), c(&mut member)), 0);
        assert_eq!(RTMP_FindFirstMatchingProperty(c(&mut object), c(no_text), c(&mut member)), 0);
        assert_eq!(RTMP_FindPrefixProperty(c(no_object), c(&mut text), c(&mut member)), 0);
        let mut one = tree(1);
        assert_eq!(RTMP_FindFirstMatchingProperty(c(&mut one), c(&mut aval(b"needle")), c(no_member)), 0);
        AMF_Reset(&mut one);
    }
}
