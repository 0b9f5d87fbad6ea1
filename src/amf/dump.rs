//! Logs values for people.

use log::{Level, debug, log_enabled};
use rtmp_core::{
    amf::{
        Value,
        dump::{self, BEGIN, END},
    },
    error::Result,
};

use super::{
    view::{Object, Property},
    walk::{Step, Walk},
};
use crate::{
    boundary::{Kind, boundary},
    ptr::given,
};

/// Logs the properties of an object and everything inside it at level DEBUG.
///
/// # Safety
/// `obj` is null or points to an initialised object.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMF_Dump(obj: Option<Object<'_>>) {
    boundary(Kind::Session, (), |_| {
        let object = given(obj, "obj")?;
        if log_enabled!(Level::Debug) {
            dump(object, &mut |line| debug!("{line}"))?;
        }
        Ok(())
    })
}

/// Logs a property and everything inside it at level DEBUG.
///
/// # Safety
/// `prop` is null or points to an initialised property.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn AMFProp_Dump(prop: Option<Property<'_>>) {
    boundary(Kind::Session, (), |_| {
        let property = given(prop, "prop")?;
        if !log_enabled!(Level::Debug) {
            return Ok(());
        }
        debug!("{}", line(property));
        if let Some(members) = property.members() {
            dump(members, &mut |line| debug!("{line}"))?;
        }
        Ok(())
    })
}

/// Passes a line for each property of an object and everything inside it to `emit`.
fn dump(object: Object<'_>, emit: &mut dyn FnMut(&str)) -> Result<()> {
    emit(BEGIN);
    let mut walk = Walk::new(object);
    while let Some(step) = walk.next() {
        match step {
            Step::End => emit(END),
            Step::Property(property) => {
                emit(&line(property));
                if let Some(members) = property.members() {
                    emit(BEGIN);
                    walk.enter(members)?;
                }
            }
        }
    }
    Ok(())
}

/// A property in one line. C's text ends at a NUL.
fn line(property: Property<'_>) -> String {
    let name = until_nul(property.name().bytes());
    match property.value() {
        Some(Value::String(text)) => dump::line(name, &Value::<Object<'_>>::String(until_nul(text))),
        Some(value) => dump::line(name, &value),
        None => dump::line_with(name, &format!("INVALID TYPE 0x{:02x}", property.p_type)),
    }
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|&byte| byte == 0).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use libc::c_int;

    use super::*;
    use crate::{
        amf::{access::AMF_Reset, decode::AMF_Decode, types::*},
        ptr::{Parameter, from_c as c},
    };

    /// The lines that librtmp logs for this data.
    #[test]
    fn an_object_is_dumped_as_librtmp_does() {
        let input = [
            &[0x03][..],
            &[0, 3, b'n', b'u', b'm', 0x00, 0x40, 0x59, 0, 0, 0, 0, 0, 0], // num: 100.0
            &[0, 2, b'b', b't', 0x01, 0x01],
            &[0, 1, b's', 0x02, 0, 2, b'h', b'i'],
            &[0, 1, b'o', 0x03, 0, 1, b'n', 0x05, 0, 0, 9],
            &[0, 1, b'a', 0x0A, 0, 0, 0, 1, 0x05],
            &[0, 4, b'd', b'a', b't', b'e', 0x0B, 0x42, 0x75, 0xD3, 0xEF, 0x79, 0x80, 0, 0, 0xFF, 0xC4],
            &[0, 3, b'x', b'm', b'l', 0x0F, 0, 0, 0, 1, b'<'],
            &[0, 0, 9],
        ]
        .concat();
        let mut object = AMFObject::EMPTY;
        let mut lines = Vec::new();
        // SAFETY: the input and the object live until the end of the test.
        unsafe {
            let ret =
                AMF_Decode(c(&mut object), input.as_ptr().cast(), c_int::try_from(input.len()).unwrap(), 0);
            assert_eq!(usize::try_from(ret), Ok(input.len()));
            dump(Object::from_c(&mut object).unwrap(), &mut |line| lines.push(line.to_owned())).unwrap();
            AMF_Reset(&mut object);
        }
        let expected = [
            "(object begin)",
            "Property: <Name:           no-name., OBJECT>",
            "(object begin)",
            "Property: <Name:                num, NUMBER:\t100.00>",
            "Property: <Name:                 bt, BOOLEAN:\tTRUE>",
            "Property: <Name:                  s, STRING:\thi>",
            "Property: <Name:                  o, OBJECT>",
            "(object begin)",
            "Property: NULL",
            "(object end)",
            "Property: <Name:                  a, STRICT_ARRAY>",
            "(object begin)",
            "Property: NULL",
            "(object end)",
            "Property: <Name:               date, DATE:\ttimestamp: 1500000000000.00, UTC offset: -60>",
            "Property: <Name:                xml, INVALID TYPE 0x0f>",
            "(object end)",
            "(object end)",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn long_names_and_values_are_cut_and_unprintable_ones_are_shown() {
        let name = [b'n'; 30];
        let value = [b'v'; 300];
        let mut property = AMFObjectProperty::INVALID;
        let show = |property: &mut AMFObjectProperty| {
            // SAFETY: the name and the value above outlive the call.
            line(unsafe { Property::from_c(property) }.unwrap())
        };
        assert_eq!(show(&mut property), "Property: INVALID");
        property.p_name = AVal { av_val: name.as_ptr().cast_mut().cast(), av_len: 30 };
        property.p_type = AMF_STRING;
        property.p_vu.p_aval = AVal { av_val: value.as_ptr().cast_mut().cast(), av_len: 300 };
        assert_eq!(
            show(&mut property),
            format!("Property: <Name: {}, STRING:\t{}>", "n".repeat(18), "v".repeat(254 - 8))
        );
        property.p_vu.p_aval = AVal { av_val: b"a\xFF\0b".as_ptr().cast_mut().cast(), av_len: 4 };
        assert_eq!(show(&mut property), format!("Property: <Name: {}, STRING:\ta\\xff>", "n".repeat(18)));
        property.p_type = AMF_NUMBER;
        property.p_vu.p_number = f64::MAX;
        assert_eq!(show(&mut property).len(), "Property: <Name: , >".len() + 18 + 254);
        property.p_vu.p_number = f64::INFINITY;
        assert!(show(&mut property).ends_with("NUMBER:\tinf>"));
    }
}
