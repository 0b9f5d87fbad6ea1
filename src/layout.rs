//! Compile-time checks that a struct lies in memory as compiled C programs expect it.
//!
//! The numbers were measured on librtmp 2.4 and are the same on every 64-bit platform whose `int` has four bytes.

/// Asserts the size of each struct and the offset of each of its fields; a field that is not listed is an error.
macro_rules! assert_layout {
    ($($name:ident: $size:literal { $($field:ident @ $offset:literal),+ $(,)? })+) => {$(
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
    )+};
}
pub(crate) use assert_layout;
