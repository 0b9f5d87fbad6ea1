//! The C library's AMF functions against results recorded from librtmp 2.4, with every input directly in front of a
//! page that cannot be read and every output directly in front of one that cannot be written.
//!
//! Where librtmp is unsafe or wrong we behave differently on purpose; each such vector is named in `DEVIATIONS`.

#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every pointer here is null or points to data of the test"
)]

use std::{collections::BTreeMap, ptr, slice};

use crate::guarded::Guarded;
use libc::c_int;
use rtmp::{
    amf::{
        AMF_INVALID, AMF_NULL, AMF3ClassDef, AMFObject, AMFObjectProperty, AVal, access::*, decode::*,
        encode::*, plain::*,
    },
    ptr::from_c as c,
};
use serde_json::{Value, json};

/// Vectors for which we do not do what librtmp did: what we do, and the name of the reason in
/// `docs/src/differences.md`.
fn deviations() -> BTreeMap<&'static str, (Value, &'static str)> {
    let nothing = json!({"name": {"ptr": null, "len": 0}, "type": 255});
    let a_is_5 =
        json!({"name": {"off": 4, "len": 1, "hex": "61"}, "type": 0, "number": {"hex": "4014000000000000"}});
    BTreeMap::from([
        ("p0-ecma-short-count", (json!({"ret": -1, "prop": nothing}), "amf0-array-count")),
        ("arr-ecma-over", (json!({"ret": -1, "props": []}), "amf0-array-count")),
        ("a3int-9", (json!({"ret": 4, "value": 268_435_455}), "amf3-integer-sign")),
        ("a3int-10", (json!({"ret": 4, "value": -268_435_328}), "amf3-integer-sign")),
        ("a3int-13", (json!({"ret": 4, "value": 2_097_280}), "amf3-integer-sign")),
        ("a3str-neg", (json!({"ret": 4, "string": {"ptr": null, "len": 0}}), "amf3-string-length")),
        ("a3p-string-short", (json!({"ret": -1, "prop": nothing}), "amf3-string-bounds")),
        (
            "avm-notobj",
            (
                json!({"ret": 3, "props": [{"name": {"ptr": null, "len": 0}, "type": 0, "number": {"hex": "4014000000000000"}}]}),
                "amf3-values-in-amf0",
            ),
        ),
        (
            "a3p-object-plain",
            (
                json!({"ret": 8, "prop": {"name": {"ptr": null, "len": 0}, "type": 3, "props": [a_is_5]}}),
                "amf3-nested-marker",
            ),
        ),
    ])
}

/// Rows of the sweep over AMF3 data ("amf3-undecodable-members" in `docs/src/differences.md`): after an undecodable member
/// librtmp steps back one byte and reads on.
const AMF3_SWEEP_DEVIATIONS: [(usize, i64, i64); 6] =
    [(10, -1, 0), (12, -1, 0), (13, -1, 0), (14, -1, 0), (15, -1, 0), (16, -1, 0)];

#[test]
fn decoders_return_what_was_recorded() {
    let vectors = vectors();
    let mut deviations = deviations();
    let decode = list(&vectors["decode"]);
    for vector in decode {
        let id = text(&vector["id"]);
        if let Some((expected, defect)) = deviations.remove(id) {
            assert_ne!(simplified(&vector["original"]), expected, "{id} does not deviate: {defect}");
            assert_eq!(run(vector, &[]), expected, "{id}: {defect}");
            continue;
        }
        match &vector["required"] {
            Value::String(required) if required == "as original" => {
                assert_eq!(run(vector, &[]), simplified(&vector["original"]), "{id}");
            }
            Value::String(required) if required.starts_with("same ret and named members") => {
                let mut expected = simplified(&vector["original"]);
                drop_stale_copies(&mut expected);
                assert_eq!(run(vector, &[]), expected, "{id}");
            }
            Value::String(required) if required.starts_with("caller contract") => caller_contract(vector),
            Value::Object(required) => {
                let observed = run(vector, &[]);
                for (key, expected) in required {
                    assert_eq!(&observed[key], expected, "{id}: {observed}");
                }
                assert!(!observed.to_string().contains("out_of_input"), "{id}: {observed}");
            }
            other => panic!("{id}: unknown requirement {other}"),
        }
    }
    assert_eq!(deviations.keys().collect::<Vec<_>>(), Vec::<&&str>::new(), "deviations without a vector");
    assert_eq!(decode.len(), 152);
}

/// Functions without a length argument may read on, but the checked decoders must not when they come across the same
/// bytes at the end of their input.
fn caller_contract(vector: &Value) {
    let id = text(&vector["id"]);
    let input = bytes(&vector["input"]);
    let (marker, expected) = match id {
        "a3int-trunc-80" => (4, [(2, 0), (4, 1_387_178)]),
        "a3int-trunc-8080" => (4, [(3, 0), (4, 10_922)]),
        "a3int-trunc-808080" => (4, [(4, 0), (4, 170)]),
        "a3str-long" => {
            let observed = run(vector, &[0; 16]);
            assert_eq!(observed["ret"], 17, "{id}");
            assert_eq!(observed["string"]["len"], 16, "{id}");
            assert!(prop_decode(&[&[6], &input[..]].concat()).is_none(), "{id}");
            return;
        }
        other => panic!("{other}: unknown vector"),
    };
    for (slack, (ret, value)) in [0x00, 0xAA].into_iter().zip(expected) {
        assert_eq!(run(vector, &[slack; 4]), json!({"ret": ret, "value": value}), "{id}");
    }
    assert!(prop_decode(&[&[marker], &input[..]].concat()).is_none(), "{id}");
}

fn prop_decode(input: &[u8]) -> Option<c_int> {
    let input = Guarded::holding(input);
    let mut property = AMFObjectProperty::INVALID;
    let ret = unsafe { AMF3Prop_Decode(c(&mut property), input.start(), input.len(), 0) };
    (ret != -1).then_some(ret)
}

#[test]
fn every_prefix_gives_the_recorded_result() {
    let vectors = vectors();
    let sweeps = list(&vectors["prefix_sweeps"]);
    for sweep in sweeps {
        let id = text(&sweep["id"]);
        assert_eq!(text(&sweep["fn"]), "AMF_Decode", "{id}: unknown function");
        let input = bytes(&sweep["input"]);
        let rows = list(&sweep["rows"]);
        assert_eq!(rows.len(), input.len() + 1, "{id}");
        for row in rows {
            let len = usize::try_from(row[0].as_u64().unwrap()).unwrap();
            let mut expected = (row[1].as_i64().unwrap(), row[2].as_i64().unwrap());
            let deviation = AMF3_SWEEP_DEVIATIONS.iter().find(|deviation| deviation.0 == len);
            if let Some(&(_, ret, count)) = deviation.filter(|_| id == "sweep-avm") {
                assert_ne!(expected, (ret, count), "{id}, {len} bytes does not deviate");
                expected = (ret, count);
            }
            let prefix = Guarded::holding(&input[..len]);
            let mut object = AMFObject::EMPTY;
            let ret = unsafe { AMF_Decode(c(&mut object), prefix.start(), prefix.len(), 0) };
            assert_eq!((i64::from(ret), i64::from(object.o_num)), expected, "{id}, {len} bytes");
            unsafe { AMF_Reset(&mut object) };
        }
    }
    assert_eq!(sweeps.len(), 4);
}

#[test]
fn encoders_write_the_recorded_bytes_and_need_the_same_space() {
    let vectors = vectors();
    let encode = list(&vectors["encode"]);
    for vector in encode {
        let id = text(&vector["id"]);
        let original = &vector["original"];
        encoder_gives(vector, 70_000, original);
        for (room, expected) in vector["buffer_size_results"].as_object().unwrap() {
            encoder_gives(vector, room.parse().unwrap(), expected);
        }
        if let (Some(written), Some(extra)) = (original["ret"].as_u64(), vector["extra_room_needed"].as_u64())
        {
            let enough = usize::try_from(written + extra).unwrap();
            encoder_gives(vector, enough, original);
            let (ret, _) = encoded(vector, enough - 1);
            assert_ne!(ret, usize::try_from(written).ok(), "{id} into {} bytes", enough - 1);
        }
    }
    assert_eq!(encode.len(), 40);
}

fn encoder_gives(vector: &Value, room: usize, expected: &Value) {
    let id = text(&vector["id"]);
    let (ret, buffer) = encoded(vector, room);
    assert_eq!(ret.map(|ret| json!(ret)).unwrap_or_default(), expected["ret"], "{id} into {room} bytes");
    let Some(ret) = ret else {
        let touched = bytes(&expected["bytes_touched"]);
        assert_eq!(buffer[..touched.len()], touched, "{id} into {room} bytes");
        assert!(buffer[touched.len()..].iter().all(|&byte| byte == UNTOUCHED), "{id} into {room} bytes");
        return;
    };
    // Long results were recorded as their beginning and their length.
    let recorded = text(&expected["bytes"]);
    match recorded.split_once("..") {
        None => assert_eq!(hex(&buffer[..ret]), recorded, "{id} into {room} bytes"),
        Some((beginning, length)) => {
            assert_eq!(length, format!("({ret})"), "{id}");
            assert!(hex(&buffer[..ret]).starts_with(beginning), "{id} into {room} bytes");
            assert!(
                buffer[beginning.len() / 2..ret].iter().all(|&byte| byte == b'x'),
                "{id} into {room} bytes"
            );
        }
    }
}

/// What an encoder returns, as an offset, and the buffer afterwards.
fn encoded(vector: &Value, room: usize) -> (Option<usize>, Vec<u8>) {
    let args = &vector["args"];
    let buffer = Guarded::holding(&vec![UNTOUCHED; room]);
    let start = buffer.start().cast_mut();
    let (output, outend) = unsafe { (c(start), c(start.add(room))) };
    let mut texts = Texts::default();
    let number = || args["value"].as_f64().unwrap();
    let integer = || c_int::try_from(args["value"].as_i64().unwrap()).unwrap();
    let function = text(&vector["fn"]);
    let after = unsafe {
        match function {
            "AMF_EncodeInt16" => AMF_EncodeInt16(output, outend, i16::try_from(integer()).unwrap()),
            "AMF_EncodeInt24" => AMF_EncodeInt24(output, outend, integer()),
            "AMF_EncodeInt32" => AMF_EncodeInt32(output, outend, integer()),
            "AMF_EncodeBoolean" => AMF_EncodeBoolean(output, outend, integer()),
            "AMF_EncodeNumber" => AMF_EncodeNumber(output, outend, number()),
            "AMF_EncodeString" => AMF_EncodeString(output, outend, c(&mut texts.aval(&args["value"]))),
            "AMF_EncodeNamedString" => AMF_EncodeNamedString(
                output,
                outend,
                c(&mut texts.aval(&args["name"])),
                c(&mut texts.aval(&args["value"])),
            ),
            "AMF_EncodeNamedNumber" => {
                AMF_EncodeNamedNumber(output, outend, c(&mut texts.aval(&args["name"])), number())
            }
            "AMF_EncodeNamedBoolean" => {
                AMF_EncodeNamedBoolean(output, outend, c(&mut texts.aval(&args["name"])), integer())
            }
            "AMFProp_Encode" => {
                let mut property = texts.property(&args["prop"]);
                let after = AMFProp_Encode(c(&mut property), output, outend);
                AMFProp_Reset(&mut property);
                after
            }
            "AMF_Encode" | "AMF_EncodeEcmaArray" | "AMF_EncodeArray" => {
                let mut object = texts.object(&args["props"]);
                let after = match function {
                    "AMF_Encode" => AMF_Encode(c(&mut object), output, outend),
                    "AMF_EncodeEcmaArray" => AMF_EncodeEcmaArray(c(&mut object), output, outend),
                    _ => AMF_EncodeArray(c(&mut object), output, outend),
                };
                AMF_Reset(&mut object);
                after
            }
            other => panic!("unknown function {other}"),
        }
    };
    let ret = (!after.is_null()).then(|| after as usize - start as usize);
    assert!(ret.is_none_or(|ret| ret <= room), "{} into {room} bytes", vector["id"]);
    (ret, buffer.bytes().to_vec())
}

#[test]
fn resets_leak_nothing_and_free_nothing_twice() {
    let vectors = vectors();
    let resets = list(&vectors["reset"]);
    for vector in resets {
        let id = text(&vector["id"]);
        let expected = match id {
            "reset-avm-nested-last" => 16,
            "reset-avm-nested-not-last" => 19,
            "reset-object" => 20,
            "reset-strict-ecma" => 25,
            other => panic!("{other}: unknown vector"),
        };
        let input = Guarded::holding(&bytes(&vector["input"]));
        let mut object = AMFObject::EMPTY;
        let ret = unsafe { AMF_Decode(c(&mut object), input.start(), input.len(), 0) };
        assert_eq!(ret, expected, "{id}");
        for _ in 0..2 {
            unsafe { AMF_Reset(&mut object) };
            assert_eq!((object.o_num, object.o_props.is_null()), (0, true), "{id}");
        }
    }
    assert_eq!(resets.len(), 4);
}

#[test]
fn deep_nesting_is_refused_on_a_small_stack() {
    let vectors = vectors();
    let cases = list(&vectors["deep_nesting"]["cases"]);
    for case in cases {
        let (unit, first) = (bytes(&case["unit"]), bytes(&case["first"]));
        let meaning = text(&case["meaning"]).to_owned();
        let innermost: &[u8] = match meaning.as_str() {
            "nested objects" | "nested ECMA arrays" => &[],
            "nested strict arrays" => &[5],
            "nested AMF3 dynamic objects (doubled marker)" => &[1],
            other => panic!("unknown case {other}"),
        };
        let work = move || {
            let levels_in_front = usize::from(!first.is_empty());
            for (levels, accepted) in [(16, true), (64, true), (65, false), (1000, false), (100_000, false)] {
                let data = [&first[..], &unit.repeat(levels - levels_in_front), innermost].concat();
                let input = Guarded::holding(&data);
                let mut object = AMFObject::EMPTY;
                let ret = unsafe { AMF_Decode(c(&mut object), input.start(), input.len(), 0) };
                assert_eq!(ret, if accepted { input.len() } else { -1 }, "{meaning}, {levels} levels");
                unsafe { AMF_Reset(&mut object) };
            }
        };
        std::thread::Builder::new().stack_size(64 * 1024).spawn(work).unwrap().join().unwrap();
    }
    assert_eq!(cases.len(), 4);
}

#[test]
fn misuse_has_the_required_results() {
    let vectors = vectors();
    let misc = list(&vectors["misc"]);
    let input = Guarded::holding(&[5; 4]);
    let data = input.start();
    let nothing = ptr::null();
    let mut object = AMFObject { o_num: 7, o_props: ptr::null_mut() };
    let mut property = AMFObjectProperty::INVALID;
    for case in misc {
        let call = text(&case["call"]);
        let ret = unsafe {
            match call {
                "AMF_Decode(obj, 4 bytes 05050505, nSize=-5, 0)" => AMF_Decode(c(&mut object), data, -5, 0),
                "AMF_Decode(obj, NULL, 0, 0)" => AMF_Decode(c(&mut object), nothing, 0, 0),
                "AMF_Decode(obj, NULL, 2, 0)" => AMF_Decode(c(&mut object), nothing, 2, 0),
                "AMF_Decode(obj, NULL, 3, 0)" => AMF_Decode(c(&mut object), nothing, 3, 0),
                "AMFProp_Decode(prop, NULL, 5, 0)" => AMFProp_Decode(c(&mut property), nothing, 5, 0),
                "AMFProp_Decode(prop, 05050505, nSize=-1, 0)" => {
                    AMFProp_Decode(c(&mut property), data, -1, 0)
                }
                "AMF3Prop_Decode(prop, NULL, 5, 0)" => AMF3Prop_Decode(c(&mut property), nothing, 5, 0),
                "AMF_DecodeArray(obj, NULL, 5, 0, 0)" => AMF_DecodeArray(c(&mut object), nothing, 5, 0, 0),
                "AMF_DecodeArray(obj, NULL, 5, 1, 0)" => AMF_DecodeArray(c(&mut object), nothing, 5, 1, 0),
                "AMF_GetProp(obj, NULL, -1) on a non-empty object" => {
                    AMF_AddProp(&mut object, &property);
                    let found = AMF_GetProp(c(&mut object), c(nothing.cast_mut().cast()), -1);
                    assert_eq!(found, AMF_GetProp(c(&mut object), c(nothing.cast_mut().cast()), 1), "{call}");
                    assert_eq!(AMFProp_GetType(c(found)), AMF_INVALID, "{call}");
                    AMF_Reset(&mut object);
                    continue;
                }
                "AMFProp_Reset on the shared invalid property" => {
                    let shared = AMF_GetProp(c(&mut object), c(nothing.cast_mut().cast()), 0);
                    AMFProp_Reset(shared);
                    let mut name = aval(b"name");
                    AMFProp_SetName(c(shared), c(&mut name));
                    AMFProp_SetNumber(c(shared), 1.0);
                    assert_eq!(AMFProp_Decode(c(shared), data, 4, 0), -1, "{call}");
                    assert_eq!((*shared).p_type, AMF_INVALID, "{call}");
                    assert_eq!((*shared).p_name.av_len, 0, "{call}");
                    continue;
                }
                "AMF3CD_GetProp(cd, -1)" => {
                    let mut class = AMF3ClassDef {
                        cd_name: AVal::EMPTY,
                        cd_externalizable: 0,
                        cd_dynamic: 0,
                        cd_num: 0,
                        cd_props: ptr::null_mut(),
                    };
                    AMF3CD_AddProp(&mut class, &mut aval(b"member"));
                    assert_eq!((*AMF3CD_GetProp(c(&mut class), -1)).av_len, 0, "{call}");
                    assert_eq!((*AMF3CD_GetProp(c(&mut class), 1)).av_len, 0, "{call}");
                    assert_eq!((*AMF3CD_GetProp(c(&mut class), 0)).av_len, 6, "{call}");
                    libc::free(class.cd_props.cast());
                    continue;
                }
                other => panic!("unknown call {other}"),
            }
        };
        let required = case.get("required").unwrap_or(&case["original"]);
        assert_eq!(&json!(ret), required, "{call}");
        assert_eq!(
            (object.o_num, object.o_props.is_null()),
            if call.contains("obj") { (0, true) } else { (object.o_num, true) },
            "{call}"
        );
    }
    assert_eq!(misc.len(), 12);
}

#[test]
fn prefixes_and_changed_bytes_stay_inside_the_input() {
    let vectors = vectors();
    let mut decoded = 0;
    for vector in list(&vectors["decode"]).iter().chain(list(&vectors["prefix_sweeps"])) {
        let input = bytes(&vector["input"]);
        let function = text(&vector["fn"]);
        if !matches!(
            function,
            "AMF_Decode" | "AMF_DecodeArray" | "AMF3_Decode" | "AMFProp_Decode" | "AMF3Prop_Decode"
        ) {
            continue;
        }
        let guarded = Guarded::holding(&input);
        let mut hostile = vector.clone();
        hostile["args"]["nArrayLen"] = json!(3);
        for at in 0..input.len() {
            observe_safely(&hostile, &Guarded::holding(&input[..at]));
            for value in 0..=255 {
                guarded.set(at, value);
                observe_safely(&hostile, &guarded);
                decoded += 1;
            }
            guarded.set(at, input[at]);
        }
    }
    assert!(decoded > 100_000, "{decoded}");
}

fn observe_safely(vector: &Value, input: &Guarded) {
    let observed = observe(vector, input);
    let ret = observed["ret"].as_i64().unwrap();
    assert!((-1..=i64::from(input.len())).contains(&ret), "{}: {observed}", hex(input.bytes()));
    assert!(!observed.to_string().contains("out_of_input"), "{}: {observed}", hex(input.bytes()));
}

/// Runs a decode vector with `slack` readable bytes behind its input.
fn run(vector: &Value, slack: &[u8]) -> Value {
    observe(vector, &Guarded::holding(&[&bytes(&vector["input"])[..], slack].concat()))
}

/// Calls the function of a decode vector and describes what it did the way the recording does.
fn observe(vector: &Value, input: &Guarded) -> Value {
    let args = &vector["args"];
    let flag = |name: &str| c_int::try_from(args[name].as_i64().unwrap()).unwrap();
    let (data, len) = (input.start(), input.len());
    let mut string = AVal::EMPTY;
    let mut object = AMFObject::EMPTY;
    let mut property = AMFObjectProperty::INVALID;
    let mut integer = 0;
    unsafe {
        match text(&vector["fn"]) {
            "AMF_DecodeInt16" => json!({"ret": AMF_DecodeInt16(c(data.cast_mut().cast()))}),
            "AMF_DecodeInt24" => json!({"ret": AMF_DecodeInt24(c(data.cast_mut().cast()))}),
            "AMF_DecodeInt32" => json!({"ret": AMF_DecodeInt32(c(data.cast_mut().cast()))}),
            "AMF_DecodeBoolean" => json!({"ret": AMF_DecodeBoolean(c(data.cast_mut().cast()))}),
            "AMF_DecodeNumber" => json!({"ret": number(AMF_DecodeNumber(c(data.cast_mut().cast())))}),
            "AMF_DecodeString" => {
                AMF_DecodeString(c(data.cast_mut().cast()), c(&mut string));
                json!({"string": describe(input, &string)})
            }
            "AMF_DecodeLongString" => {
                AMF_DecodeLongString(c(data.cast_mut().cast()), c(&mut string));
                json!({"string": describe(input, &string)})
            }
            "AMF3ReadInteger" => json!({"ret": AMF3ReadInteger(data, c(&mut integer)), "value": integer}),
            "AMF3ReadString" => {
                let ret = AMF3ReadString(data, c(&mut string));
                json!({"ret": ret, "string": describe(input, &string)})
            }
            "AMF_Decode" => {
                let ret = AMF_Decode(c(&mut object), data, len, flag("bDecodeName"));
                described(ret, &mut object, input)
            }
            "AMF_DecodeArray" => {
                let ret = AMF_DecodeArray(c(&mut object), data, len, flag("nArrayLen"), flag("bDecodeName"));
                described(ret, &mut object, input)
            }
            "AMF3_Decode" => {
                let ret = AMF3_Decode(c(&mut object), data, len, flag("bAMFData"));
                described(ret, &mut object, input)
            }
            "AMFProp_Decode" => {
                let ret = AMFProp_Decode(c(&mut property), data, len, flag("bDecodeName"));
                described_property(ret, &mut property, input)
            }
            "AMF3Prop_Decode" => {
                let ret = AMF3Prop_Decode(c(&mut property), data, len, flag("bDecodeName"));
                described_property(ret, &mut property, input)
            }
            other => panic!("unknown function {other}"),
        }
    }
}

unsafe fn described(ret: c_int, object: &mut AMFObject, input: &Guarded) -> Value {
    let props = unsafe { describe_object(object, input) };
    unsafe { AMF_Reset(object) };
    json!({"ret": ret, "props": props})
}

unsafe fn described_property(ret: c_int, property: &mut AMFObjectProperty, input: &Guarded) -> Value {
    let prop = unsafe { describe_property(property, input) };
    unsafe { AMFProp_Reset(property) };
    json!({"ret": ret, "prop": prop})
}

unsafe fn describe_object(object: &AMFObject, input: &Guarded) -> Value {
    if object.o_num == 0 {
        return json!([]);
    }
    let properties = unsafe { slice::from_raw_parts(object.o_props, usize::try_from(object.o_num).unwrap()) };
    properties.iter().map(|property| unsafe { describe_property(property, input) }).collect()
}

unsafe fn describe_property(property: &AMFObjectProperty, input: &Guarded) -> Value {
    let mut described = json!({"name": describe(input, &property.p_name), "type": property.p_type});
    match property.p_type {
        0 | 1 => described["number"] = number(unsafe { property.p_vu.p_number }),
        2 | 15 => described["string"] = describe(input, unsafe { &property.p_vu.p_aval }),
        3 | 8 | 10 => described["props"] = unsafe { describe_object(&property.p_vu.p_object, input) },
        11 => {
            described["number"] = number(unsafe { property.p_vu.p_number });
            described["utc_offset"] = json!(property.p_UTCoffset);
        }
        AMF_NULL | AMF_INVALID => {}
        other => panic!("a decoder made type {other}"),
    }
    described
}

/// A string the way the recording describes it: where it lies in the input.
fn describe(input: &Guarded, string: &AVal) -> Value {
    if string.av_val.is_null() {
        return json!({"ptr": null, "len": string.av_len});
    }
    let len = usize::try_from(string.av_len).unwrap();
    let offset = (string.av_val as usize).wrapping_sub(input.start() as usize);
    match input.bytes().get(offset..).and_then(|rest| rest.get(..len)) {
        Some(text) => json!({"off": offset, "len": len, "hex": hex(text)}),
        None if offset <= usize::try_from(input.len()).unwrap() => {
            json!({"off": offset, "len": len, "out_of_input": true})
        }
        None => {
            let text = "DEFAULT_ATTRIBUTE";
            let found = unsafe { slice::from_raw_parts(string.av_val.cast::<u8>(), text.len()) };
            assert_eq!(found, text.as_bytes(), "a string that lies nowhere");
            json!({"static": text, "len": len})
        }
    }
}

fn number(value: f64) -> Value {
    json!({"hex": format!("{:016x}", value.to_bits())})
}

/// A recorded result without what only helps people who read it.
fn simplified(recorded: &Value) -> Value {
    match recorded {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !matches!(key.as_str(), "repr" | "type_name"))
            .map(|(key, value)| (key.clone(), simplified(value)))
            .collect(),
        Value::Array(values) => values.iter().map(simplified).collect(),
        other => other.clone(),
    }
}

/// Removes the nameless copy of the last member that librtmp appends to dynamic AMF3 objects; a copy of an object would
/// own the same members.
fn drop_stale_copies(recorded: &mut Value) {
    let mut dropped = 0;
    fn within(value: &mut Value, dropped: &mut usize) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| within(value, dropped)),
            Value::Object(fields) => {
                if let Some(Value::Array(members)) = fields.get_mut("props") {
                    let ends = members.last().is_some_and(|member| member["name"]["len"] == 0);
                    if ends && members.iter().all(|member| member["name"]["len"] != 0 || member["type"] != 3)
                    {
                        members.pop();
                        *dropped += 1;
                    }
                }
                fields.values_mut().for_each(|value| within(value, dropped));
            }
            _ => {}
        }
    }
    within(recorded, &mut dropped);
    assert_eq!(dropped, 1, "{recorded}");
}

/// Keeps the text of the properties that a test builds.
#[derive(Default)]
struct Texts(Vec<Box<[u8]>>);

impl Texts {
    fn aval(&mut self, value: &Value) -> AVal {
        let text = match value {
            Value::Null => return AVal::EMPTY,
            Value::String(text) => text.clone().into_bytes(),
            value => vec![b'x'; usize::try_from(value["repeat_x"].as_u64().unwrap()).unwrap()],
        };
        self.0.push(text.into_boxed_slice());
        aval(self.0.last().unwrap())
    }

    fn object(&mut self, members: &Value) -> AMFObject {
        let mut object = AMFObject::EMPTY;
        for member in list(members) {
            let property = self.property(member);
            unsafe { AMF_AddProp(&mut object, &property) };
        }
        object
    }

    fn property(&mut self, described: &Value) -> AMFObjectProperty {
        let mut property = AMFObjectProperty::INVALID;
        property.p_name = self.aval(&described["name"]);
        let value = &described["value"];
        property.p_type = match text(&described["type"]) {
            "NUMBER" => 0,
            "BOOLEAN" => 1,
            "STRING" => 2,
            "OBJECT" => 3,
            "NULL" => 5,
            "UNDEFINED" => 6,
            "REFERENCE" => 7,
            "ECMA_ARRAY" => 8,
            "STRICT_ARRAY" => 10,
            "DATE" => 11,
            "LONG_STRING" => 12,
            "UNSUPPORTED" => 13,
            "XML_DOC" => 15,
            "AVMPLUS" => 17,
            "INVALID" => 255,
            other => panic!("unknown type {other}"),
        };
        match value {
            Value::Null if described.get("props").is_some() => {
                property.p_vu.p_object = self.object(&described["props"]);
            }
            Value::Null => {}
            Value::Number(number) => property.p_vu.p_number = number.as_f64().unwrap(),
            value => property.p_vu.p_aval = self.aval(value),
        }
        property
    }
}

fn aval(text: &[u8]) -> AVal {
    AVal { av_val: text.as_ptr().cast_mut().cast(), av_len: c_int::try_from(text.len()).unwrap() }
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("amf-vectors.json")).unwrap()
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    let digits: Vec<_> = text(value).chars().filter(|digit| *digit != ' ').collect();
    assert_eq!(digits.len() % 2, 0);
    digits.chunks(2).map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What buffers hold before an encoder gets them.
const UNTOUCHED: u8 = 0xEE;
