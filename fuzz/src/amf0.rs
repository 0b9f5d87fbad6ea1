//! AMF0: what was decoded can be encoded, and means the same then.

#![forbid(unsafe_code)]

use rtmp_core::amf::{self, Encoder, MAX_DEPTH, Properties, Value, amf0};

use super::input;

pub fn run(data: &[u8]) {
    let Some(([mode], _, bytes)) = input::choices(data) else { return };
    let named = mode & 1 == 1;
    let mut list = Properties::default();
    let read = match mode >> 1 & 3 {
        0 => amf0::decode_into(&mut list, bytes, named),
        1 => amf0::decode_array_into(&mut list, bytes, usize::from(mode >> 3), named),
        _ => amf::decode(bytes).map(|decoded| {
            list = decoded;
            bytes.len()
        }),
    };
    if let Ok(used) = read {
        assert!(used <= bytes.len());
    }
    assert!(depth(&list) <= MAX_DEPTH + 1);
    assert!(members(&list) <= bytes.len());
    let name = bytes.get(..usize::from(mode >> 5)).unwrap_or_default();
    let _ = (list.find(name), list.find_deep(name), list.has_prefix_property(name));

    let encoded = encode_to_end(&list);
    let mut again = Properties::default();
    let used = amf0::decode_into(&mut again, &encoded, true).expect("what was encoded can be decoded");
    assert_eq!(used, encoded.len());
    assert_eq!(again.len(), list.len());
    // Not the values: a number that is none differs from itself.
    assert_eq!(encode_to_end(&again), encoded);
}

fn depth(list: &Properties<'_>) -> usize {
    let inner = list.iter().map(|property| match &property.value {
        Value::Object(list) | Value::EcmaArray(list) | Value::StrictArray(list) => 1 + depth(list),
        _ => 0,
    });
    inner.max().unwrap_or(0)
}

fn members(list: &Properties<'_>) -> usize {
    let inner = list.iter().map(|property| match &property.value {
        Value::Object(list) | Value::EcmaArray(list) | Value::StrictArray(list) => 1 + members(list),
        _ => 1,
    });
    inner.sum()
}

/// The properties with their names, and an end: without one, librtmp does not take an unnamed null at the end of the data.
fn encode_to_end(list: &Properties<'_>) -> Vec<u8> {
    [encode(list), vec![0, 0, 9]].concat()
}

/// The properties with their names, without an end.
fn encode(list: &Properties<'_>) -> Vec<u8> {
    let mut encoder = Encoder::new();
    for property in list {
        encoder.name(property.name);
        value(&mut encoder, &property.value);
    }
    encoder.finish()
}

fn value(encoder: &mut Encoder, value_of: &Value<'_>) {
    match value_of {
        Value::Number(number) => encoder.number(*number),
        Value::Boolean(boolean) => encoder.boolean(*boolean),
        Value::String(text) => encoder.string(text),
        Value::Null | Value::Invalid => encoder.null(),
        Value::Object(list) => encoder.begin_object().raw(&encode(list)).end_object(),
        Value::EcmaArray(list) => {
            encoder.begin_ecma_array(list.len() as u32).raw(&encode(list)).end_object()
        }
        Value::StrictArray(list) => {
            encoder.raw(&[0x0A]).raw(&(list.len() as u32).to_be_bytes());
            list.iter().for_each(|element| value(encoder, &element.value));
            encoder
        }
        Value::Date { millis, utc_offset } => {
            encoder.raw(&[0x0B]).raw(&millis.to_be_bytes()).raw(&utc_offset.to_be_bytes())
        }
        Value::XmlDocument(text) => encoder.raw(&[0x0F]).raw(&(text.len() as u32).to_be_bytes()).raw(text),
    };
}
