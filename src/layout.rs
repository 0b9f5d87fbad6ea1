//! Checks that a struct has the memory layout that compiled C programs expect.
//!
//! The numbers were measured on librtmp 2.4. Those of 64-bit platforms whose `int` has four bytes are checked at compile time;
//! a test compares with the numbers of this platform.

/// Asserts the size of each struct and the offset of each of its fields; a field that is not listed is an error.
macro_rules! assert_layout {
    ($($name:ident: $size:literal { $($field:ident @ $offset:literal),+ $(,)? })+) => {
        $(
            #[cfg(target_pointer_width = "64")]
            const _: () = {
                assert!(size_of::<$name>() == $size, concat!("size of ", stringify!($name)));
                assert!(align_of::<$name>() == 8, concat!("alignment of ", stringify!($name)));
                $(assert!(
                    std::mem::offset_of!($name, $field) == $offset,
                    concat!("offset of ", stringify!($name), ".", stringify!($field))
                );)+
                let _every_field_is_listed = |value: &$name| {
                    let $name { $($field: _),+ } = value;
                };
            };
        )+

        #[test]
        fn layouts_are_those_of_c_programs() {
            $(
                let fields = [$((stringify!($field), std::mem::offset_of!($name, $field))),+];
                crate::layout::assert_measured(stringify!($name), size_of::<$name>(), &fields);
            )+
        }
    };
}
pub(crate) use assert_layout;

/// Compares a struct with the output of `tests/c/abi_layout.c` after compiling that with librtmp's own headers.
#[cfg(test)]
pub(crate) fn assert_measured(name: &str, size: usize, fields: &[(&str, usize)]) {
    let measured = if cfg!(target_pointer_width = "64") {
        include_str!("../tests/abi/layout.txt")
    } else if align_of::<f64>() == 8 {
        include_str!("../tests/abi/layout-32.txt")
    } else {
        include_str!("../tests/abi/layout-i386.txt")
    };
    let heading = format!("{name}: {size} bytes");
    let mut lines = measured.lines().skip_while(|line| line.trim_start_matches("struct ") != heading);
    assert!(lines.next().is_some(), "no {heading:?} was measured");
    let lines: Vec<_> = lines.take_while(|line| line.starts_with(' ')).collect();
    for (field, offset) in fields {
        let start = format!("  {field} @ {offset}, ");
        assert!(lines.iter().any(|line| line.starts_with(&start)), "{name}.{field} is at {offset}");
    }
}
