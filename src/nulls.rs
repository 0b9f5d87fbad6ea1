//! Passes null for every pointer of every export, from Rust, so that Miri can check it. `tests/c/bad_input.c` makes the same
//! calls from C, and more: only there are the functions that log C's formats, and those without a pointer.

use std::{alloc, ptr};

use super::{
    amf::{access::*, decode::*, dump::*, encode::*, plain::*, search::*, tracks::*},
    enhanced::{capabilities::*, media::*, reconnect::*},
    event_loop::{
        RTMP_EventCallback, RTMP_SendCallback, RTMP_SessionLogCallback, events::*, stats::*, steps::*,
    },
    http::HTTP_get,
    log::{RTMP_LOGCRIT, RTMP_LogHex, RTMP_LogHexString, RTMP_LogSetLevel},
    ptr::Parameter,
    rtmp::{
        abort::*, close::*, connect::*, error::*, io::*, lifecycle::*, packet::*, serve::*, set_option::*,
        setup::*, sockbuf::*, stream::*, streams::*, swf::*, url::*,
    },
    tls::*,
};

/// The values for a parameter.
trait Argument: Copy {
    /// Null, or 0.
    fn null() -> Self;
    /// A pointer to zeros, or a small number.
    fn usable() -> Self;
    const IS_POINTER: bool;
}

impl<T> Argument for *mut T {
    fn null() -> Self {
        ptr::null_mut()
    }

    /// Never freed.
    fn usable() -> Self {
        let layout = alloc::Layout::new::<T>();
        let layout = alloc::Layout::from_size_align(layout.size().max(64), layout.align().max(8)).unwrap();
        // SAFETY: the layout's size is not zero.
        unsafe { alloc::alloc_zeroed(layout) }.cast()
    }

    const IS_POINTER: bool = true;
}

impl<P: Parameter + Copy> Argument for Option<P> {
    fn null() -> Self {
        None
    }

    fn usable() -> Self {
        // SAFETY: zeros, which no other thread uses, are an empty struct of each kind.
        unsafe { P::from_c(Argument::usable()) }
    }

    const IS_POINTER: bool = true;
}

macro_rules! functions {
    ($($function:ty),*) => {
        $(impl Argument for Option<$function> {
            fn null() -> Self {
                None
            }

            /// Any function would do: it is not called.
            fn usable() -> Self {
                None
            }

            const IS_POINTER: bool = true;
        })*
    };
}

functions!(RTMP_EventCallback, RTMP_SendCallback, RTMP_SessionLogCallback);

impl<T> Argument for *const T {
    fn null() -> Self {
        ptr::null()
    }

    fn usable() -> Self {
        <*mut T>::usable()
    }

    const IS_POINTER: bool = true;
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Argument for $kind {
            fn null() -> Self {
                <$kind>::default()
            }

            fn usable() -> Self {
                8 as $kind
            }

            const IS_POINTER: bool = false;
        })*
    };
}

numbers!(u8, i16, i32, u32, i64, u64, f64);

/// A function of C that can be called with nulls.
trait Export {
    /// # Safety
    /// The function takes null, zeros and small numbers.
    unsafe fn call_with_nulls(self);

    /// All arguments are usable except one pointer, each in turn.
    ///
    /// # Safety
    /// As above.
    unsafe fn call_with_one_null(self);
}

macro_rules! exports {
    ($($name:ident $index:literal),+; $count:literal) => {
        exports!("C" $($name $index),+; $count);
        exports!("C-unwind" $($name $index),+; $count);
    };
    ($abi:literal $($name:ident $index:literal),+; $count:literal) => {
        impl<Output, $($name: Argument),+> Export for unsafe extern $abi fn($($name),+) -> Output {
            unsafe fn call_with_nulls(self) {
                // SAFETY: an export allows null for each of its pointers, which is what this tests.
                unsafe { self($($name::null()),+) };
            }

            unsafe fn call_with_one_null(self) {
                for null in 0..$count {
                    if [$($name::IS_POINTER),+][null] {
                        // SAFETY: an export allows null for any of its pointers; the others are usable.
                        unsafe { self($(if null == $index { $name::null() } else { $name::usable() }),+) };
                    }
                }
            }
        }
    };
}

exports!(A 0; 1);
exports!(A 0, B 1; 2);
exports!(A 0, B 1, C 2; 3);
exports!(A 0, B 1, C 2, D 3; 4);
exports!(A 0, B 1, C 2, D 3, E 4; 5);
exports!(A 0, B 1, C 2, D 3, E 4, F 5; 6);
exports!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11, M 12, N 13, O 14, P 15, Q 16, R 17, S 18, T 19; 20);

/// Calls each function in one way. Functions that may wait can unwind. The underscores are the parameters.
macro_rules! each {
    ($abi:literal $how:ident: $($function:ident($($parameter:tt),+);)+) => {
        // SAFETY: these functions accept null, and the other arguments are valid: zeros are empty objects, and small numbers
        // short lengths.
        $(unsafe { ($function as unsafe extern $abi fn($($parameter),+) -> _).$how() };)+
    };
}

/// Miri does not support C's formatting, so nothing may be logged there.
fn quietly() {
    if cfg!(miri) {
        RTMP_LogSetLevel(RTMP_LOGCRIT);
    }
}

#[test]
fn functions_about_a_session_take_null() {
    quietly();
    each! { "C" call_with_nulls:
        RTMP_Free(_);
        RTMP_Init(_);
        RTMP_EnableWrite(_);
        RTMP_GetDuration(_);
        RTMP_IsConnected(_);
        RTMP_Socket(_);
        RTMP_IsTimedout(_);
        RTMP_SetBufferMS(_, _);
        RTMP_GetLastError(_);
        RTMP_GetErrorString(_);
        RTMP_GetLastSystemError(_);
        RTMP_GetStats(_, _);
        RTMP_SetNonBlocking(_, _);
        RTMP_GetPollFds(_, _, _);
        RTMP_GetPollTimeout(_);
        RTMP_GetPollFd(_);
        RTMP_Step(_);
        RTMP_SetEventCallback(_, _, _);
        RTMP_SetSendCallback(_, _, _);
        RTMP_SetSessionLog(_, _, _);
        RTMP_SetOpt(_, _, _);
        RTMP_DropRequest(_, _, _);
        RTMP_TLS_AllocServerContext(_, _);
        RTMP_TLS_FreeServerContext(_);
        RTMP_Abort(_);
        RTMP_PeerCaps(_);
        RTMP_PeerFourCc(_, _, _);
        RTMP_PeerProperty(_, _, _);
        RTMP_TakeConnect(_, _);
        RTMP_EncodeCapabilities(_, _, _);
        RTMP_GetReconnect(_, _, _);
        RTMP_SetupReconnect(_, _);
        RTMP_SetupStream(_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _);
    }
    each! { "C-unwind" call_with_nulls:
        RTMP_SetupURL(_, _);
        RTMP_Connect(_, _);
        RTMP_Connect0(_, _);
        RTMP_Connect1(_, _);
        RTMP_Close(_);
        RTMP_ConnectStream(_, _);
        RTMP_ReconnectStream(_, _);
        RTMP_DeleteStream(_);
        RTMP_SendCreateStream(_);
        RTMP_UpdateBufferMS(_);
        RTMP_SendCtrl(_, _, _, _);
        RTMP_SendPause(_, _, _);
        RTMP_Pause(_, _);
        RTMP_SendSeek(_, _);
        RTMP_SendServerBW(_);
        RTMP_SendClientBW(_);
        RTMP_ToggleStream(_);
        RTMP_Read(_, _, _);
        RTMP_Write(_, _, _);
        RTMP_ReadPacket(_, _);
        RTMP_SendPacket(_, _, _);
        RTMP_OpenStream(_, _);
        RTMP_WriteStream(_, _, _, _);
        RTMP_CloseStream(_, _);
        RTMP_SendChunk(_, _);
        RTMP_ClientPacket(_, _);
        RTMP_GetNextMediaPacket(_, _);
        RTMP_SendMedia(_, _, _, _, _, _);
        RTMP_SendReconnect(_, _, _);
        RTMP_TLS_Accept(_, _);
        RTMP_Serve(_);
        RTMPSockBuf_Fill(_);
        RTMPSockBuf_Send(_, _, _);
        RTMPSockBuf_Close(_);
    }
    each! { "C" call_with_one_null:
        RTMP_SetOpt(_, _, _);
        RTMP_GetStats(_, _);
    }
    each! { "C-unwind" call_with_one_null:
        RTMP_Read(_, _, _);
        RTMP_Write(_, _, _);
        RTMP_ReadPacket(_, _);
        RTMP_SendPacket(_, _, _);
        RTMP_SendChunk(_, _);
        RTMP_ClientPacket(_, _);
        RTMP_GetNextMediaPacket(_, _);
    }
}

#[test]
fn functions_about_texts_and_packets_take_null() {
    quietly();
    each! { "C" call_with_nulls:
        RTMPPacket_Reset(_);
        RTMPPacket_Alloc(_, _);
        RTMPPacket_Free(_);
        RTMPPacket_Dump(_);
        RTMP_ParseURL(_, _, _, _, _, _);
        RTMP_ParsePlaypath(_, _);
        RTMP_LogHex(_, _, _);
        RTMP_LogHexString(_, _, _);
    }
    each! { "C-unwind" call_with_nulls:
        RTMP_HashSWF(_, _, _, _);
        HTTP_get(_, _, _);
    }
    each! { "C" call_with_one_null: RTMP_ParseURL(_, _, _, _, _, _); RTMP_ParsePlaypath(_, _); }
}

#[test]
fn functions_about_media_take_null() {
    quietly();
    each! { "C" call_with_nulls:
        RTMP_ParseMedia(_, _, _, _);
        RTMP_NextTrack(_, _);
        RTMP_EncodeMedia(_, _, _, _, _, _);
        RTMP_ParseChannels(_, _, _);
        RTMP_EncodeChannels(_, _, _, _);
        RTMP_TrackProperty(_, _, _, _);
        RTMP_TrackCodec(_, _, _, _, _);
        RTMP_EncodeTrackMap(_, _, _, _, _, _);
    }
    each! { "C" call_with_one_null:
        RTMP_NextTrack(_, _);
        RTMP_ParseChannels(_, _, _);
        RTMP_TrackProperty(_, _, _, _);
        RTMP_TrackCodec(_, _, _, _, _);
    }
}

#[test]
fn functions_about_amf_take_null() {
    quietly();
    macro_rules! all {
        ($how:ident) => {
            each! { "C" $how:
                AMF_EncodeString(_, _, _); AMF_EncodeNumber(_, _, _); AMF_EncodeInt16(_, _, _);
                AMF_EncodeInt24(_, _, _); AMF_EncodeInt32(_, _, _); AMF_EncodeBoolean(_, _, _);
                AMF_EncodeNamedString(_, _, _, _); AMF_EncodeNamedNumber(_, _, _, _);
                AMF_EncodeNamedBoolean(_, _, _, _); AMF_Encode(_, _, _); AMF_EncodeEcmaArray(_, _, _);
                AMF_EncodeArray(_, _, _); AMFProp_Encode(_, _, _); AMF_Decode(_, _, _, _);
                AMF_DecodeArray(_, _, _, _, _); AMF3_Decode(_, _, _, _); AMF3Prop_Decode(_, _, _, _);
                AMFProp_Decode(_, _, _, _); AMF_DecodeInt16(_); AMF_DecodeInt24(_); AMF_DecodeInt32(_);
                AMF_DecodeString(_, _); AMF_DecodeLongString(_, _); AMF_DecodeBoolean(_); AMF_DecodeNumber(_);
                AMF3ReadInteger(_, _); AMF3ReadString(_, _); AMF_Reset(_); AMF_AddProp(_, _); AMF_CountProp(_);
                AMF_GetProp(_, _, _); AMFProp_GetType(_); AMFProp_SetNumber(_, _); AMFProp_SetBoolean(_, _);
                AMFProp_SetString(_, _); AMFProp_SetObject(_, _); AMFProp_GetName(_, _); AMFProp_SetName(_, _);
                AMFProp_GetNumber(_); AMFProp_GetBoolean(_); AMFProp_GetString(_, _); AMFProp_GetObject(_, _);
                AMFProp_IsValid(_); AMFProp_Reset(_); AMF3CD_AddProp(_, _); AMF3CD_GetProp(_, _);
                RTMP_FindFirstMatchingProperty(_, _, _); RTMP_FindPrefixProperty(_, _, _); AMF_Dump(_);
                AMFProp_Dump(_);
            }
        };
    }
    all!(call_with_nulls);
    all!(call_with_one_null);
}
