//! When a session's origin is used: for the text of the next URL, for options that the program sets, and at the end.

use std::ptr;

use libc::c_int;
use rtmp_core::options::Common;

use super::{Extras, Origin, sum};
use crate::{
    amf::{
        AVal,
        access::{AMF_Reset, AMFProp_Reset},
    },
    rtmp::{
        RTMP_LF_LIVE, RTMP_LF_PLST, RTMP_LF_SWFV, RTMP_LNK,
        extras::last_object,
        options::{self, Field, TC_URL},
    },
    state::{Handle, Settings},
    valid::{Rtmp, Valid, field},
};

/// Flags that options can set, and none can clear.
const FLAGS: [(&str, c_int); 3] =
    [("live", RTMP_LF_LIVE), ("playlist", RTMP_LF_PLST), ("swfVfy", RTMP_LF_SWFV)];

type Number = for<'a> fn(Rtmp<'a>) -> Valid<'a, c_int>;

/// Options that are numbers. `timeout` and `timeoutMs` stay, as in librtmp: a program that set one once must not wait longer
/// afterwards.
const NUMBERS: [(&str, Number); 4] = [
    ("swfAge", |r| field!(r, Link.swfAge)),
    ("start", |r| field!(r, Link.seekTime)),
    ("stop", |r| field!(r, Link.stopTime)),
    ("buffer", |r| field!(r, m_nBufferMS)),
];

/// Options that are reset together, unless the program has set one of them since.
const ENHANCED: [&str; 9] = [
    "enhanced",
    "fourCcList",
    "videoFourCc",
    "audioFourCc",
    "capsEx",
    "videoFunction",
    "enhancedForce",
    "reconnect",
    "objectEncoding",
];

type Restore = fn(&mut Common, &Common);

/// Options without a field, and how their values from before the text are restored.
const HIDDEN: [(&str, Restore); 12] = [
    ("nodelay", |now, before| now.local.delays = before.local.delays),
    ("keepalive", |now, before| now.local.keep_alive = before.local.keep_alive),
    ("bind", |now, before| now.local.bind.clone_from(&before.local.bind)),
    ("ipv", |now, before| now.local.family = before.local.family),
    ("tlsCert", |now, before| now.tls.certificate.clone_from(&before.tls.certificate)),
    ("tlsKey", |now, before| now.tls.key.clone_from(&before.tls.key)),
    ("tlsPin", |now, before| now.tls.pins.clone_from(&before.tls.pins)),
    ("tlsVerify", |now, before| now.tls.verify = before.tls.verify),
    ("tlsCA", |now, before| now.tls.ca_file.clone_from(&before.tls.ca_file)),
    ("sendQueue", |now, before| now.tuning.queue_limit = before.tuning.queue_limit),
    ("closeReset", |now, before| now.tuning.resets = before.tuning.resets),
    ("data", |now, before| now.tuning.all_data = before.tuning.all_data),
];

/// Strings that can point into the text.
pub(crate) const STRINGS: [(&str, Field); 14] = [
    ("", |link| field!(link, hostname)),
    ("socks", |link| field!(link, sockshost)),
    ("app", |link| field!(link, app)),
    ("tcUrl", |link| field!(link, tcUrl)),
    ("pageUrl", |link| field!(link, pageUrl)),
    ("swfUrl", |link| field!(link, swfUrl)),
    ("flashver", |link| field!(link, flashVer)),
    ("playpath", |link| field!(link, playpath)),
    ("subscribe", |link| field!(link, subscribepath)),
    ("jtv", |link| field!(link, usherToken)),
    ("token", |link| field!(link, token)),
    ("pubUser", |link| field!(link, pubUser)),
    ("pubPasswd", |link| field!(link, pubPasswd)),
    ("", |link| field!(link, auth)),
];

impl Origin {
    /// The origin that a session keeps of its last URL.
    fn of(r: Rtmp<'_>) -> Self {
        Handle::of(r).map_or_else(|| Self::in_struct(r), |handle| handle.core().origin)
    }

    /// Stores it: with the session, or in the struct if there is none.
    pub(crate) fn keep(self, r: Rtmp<'_>) {
        match Handle::of(r) {
            Some(handle) => handle.core().origin = self,
            None => self.put_into_struct(r),
        }
    }

    /// Begins with a text, and resets what came from the last one. Returns `false` if it is the last text, which the program
    /// passes once more: splitting it removed its options from the text, and they are still set.
    ///
    /// `text` is the URL and its options, `head_len` the length of the URL.
    pub(crate) fn begin(r: Rtmp<'_>, text: &[u8], head_len: usize) -> (Self, bool) {
        let (start, head_sum) = (text.as_ptr().addr(), sum(&text[..head_len]));
        let last = Self::of(r);
        let is_divided = head_len == text.len();
        if is_divided && (last.start, last.head_len, last.head_sum) == (start, head_len, head_sum) {
            return (Self { closed: 0, ..last }, false);
        }
        let proxy = last.forget(r);
        let mut origin = Self { start, len: text.len(), head_len, head_sum, proxy, ..Self::default() };
        for (change, (_, number)) in origin.numbers.iter_mut().zip(NUMBERS) {
            change.before = number(r).get();
            change.after = change.before;
        }
        origin.raised = field!(r, Link.lFlags).get();
        origin.extras = Extras::before(field!(r, Link));
        (origin, true)
    }

    /// Notes what the options of the text have changed since `begin`.
    pub(crate) fn note_options(&mut self, r: Rtmp<'_>) {
        for (change, (_, number)) in self.numbers.iter_mut().zip(NUMBERS) {
            change.after = number(r).get();
        }
        let settable = FLAGS.iter().fold(0, |flags, (_, flag)| flags | flag);
        self.raised = field!(r, Link.lFlags).get() & !self.raised & settable;
        self.extras.note(field!(r, Link));
        if self.contains(field!(r, Link.sockshost).copy()) {
            self.has_proxy = 1;
            self.proxy = 0;
        }
    }

    /// Resets what came from the text; returns the address of a proxy that the program set.
    fn forget(self, r: Rtmp<'_>) -> usize {
        if self.start == 0 {
            return self.proxy;
        }
        let link = field!(r, Link);
        let proxy = field!(link, sockshost.av_val).get().addr();
        let is_texts_proxy = self.has_proxy != 0 && self.proxy == proxy && proxy != 0;
        if is_texts_proxy && !self.is_replaced("socks") {
            field!(link, sockshost).put(AVal::EMPTY);
            field!(link, socksport).set(0);
        }
        for (option, field) in STRINGS {
            if self.contains(field(link).copy()) && !self.is_replaced(option) {
                field(link).put(AVal::EMPTY);
            }
        }
        if TC_URL.is_set(link) && !self.is_replaced("tcUrl") {
            TC_URL.replace(link, AVal::EMPTY);
        }
        for (option, flag) in FLAGS {
            if self.raised & flag != 0 && !self.is_replaced(option) {
                field!(link, lFlags).change(|flags| flags & !flag);
            }
        }
        if self.swf_size != 0 && self.swf_size == field!(link, SWFSize).get() {
            field!(link, SWFSize).set(0);
        }
        self.extras.remove(link);
        for (change, (option, number)) in self.numbers.iter().zip(NUMBERS) {
            let number = number(r);
            if change.before != change.after && number.get() == change.after && !self.is_replaced(option) {
                number.set(change.before);
            }
        }
        forget_login(r);
        if let Some(handle) = Handle::of(r) {
            handle.change_settings_if_any(|settings| {
                let Some(before) = settings.before_url.take() else { return };
                if !ENHANCED.into_iter().any(|option| self.is_replaced(option)) {
                    settings.common.enhanced = before.enhanced.clone();
                }
                for (_, restore) in HIDDEN.iter().filter(|(option, _)| !self.is_replaced(option)) {
                    restore(&mut settings.common, &before);
                }
            });
        }
        if is_texts_proxy { 0 } else { self.proxy }
    }

    /// Resets what came from a text that may have been freed, before the session is set up without another.
    pub(crate) fn forget_closed(r: Rtmp<'_>) {
        let last = Self::of(r);
        if last.closed != 0 {
            let proxy = last.forget(r);
            Self { proxy, ..Self::default() }.keep(r);
        }
    }

    /// Notes that the program has set an option itself, so that it stays. The values of `conn` were in `array`.
    pub(crate) fn note_replaced(r: Rtmp<'_>, option: &[u8], array: usize) {
        let mut origin = Self::of(r);
        if origin == Self::default() {
            return;
        }
        origin.replaced |= options::bit(option);
        if option.eq_ignore_ascii_case(b"socks") {
            origin.proxy = 0;
        }
        if origin.extras.array == array {
            origin.extras.array = field!(r, Link.extras.o_props).get().addr();
        }
        origin.keep(r);
    }

    /// The program closes the session: only the struct remains.
    pub(crate) fn close(r: Rtmp<'_>) {
        let origin = Self::of(r);
        forget_login(r);
        forget_texts(r);
        if let Some(handle) = Handle::of(r) {
            handle.change_settings_if_any(|settings| *settings = Settings::default());
        }
        let closed = u32::from(origin != Self::default());
        Self { closed, ..origin }.keep(r);
    }

    fn is_replaced(&self, option: &str) -> bool {
        options::bit(option.as_bytes()) & self.replaced != 0
    }
}

/// Frees the decoded user name and password.
pub(crate) fn forget_login(r: Rtmp<'_>) {
    let Some(handle) = Handle::of(r) else { return };
    let Some(login) = handle.change_settings_if_any(|settings| settings.login.take()) else { return };
    for field in [field!(r, Link.pubUser), field!(r, Link.pubPasswd)] {
        if login.owns(field.copy().av_val) {
            field.put(AVal::EMPTY);
        }
    }
}

/// Frees the strings that were copied for a reconnect request.
fn forget_texts(r: Rtmp<'_>) {
    let Some(handle) = Handle::of(r) else { return };
    let Some(texts) = handle.change_settings_if_any(|settings| settings.texts.take()) else { return };
    let link = field!(r, Link);
    for (_, field) in STRINGS {
        if texts.as_ptr_range().contains(&field(link).copy().av_val.cast_const().cast()) {
            field(link).put(AVal::EMPTY);
        }
    }
    // The values of the option `conn` point into the text, too.
    // SAFETY: no other call uses the session (`Origin::close`); the properties come from the option `conn`, or from the program,
    // which allocates them in the same way.
    unsafe { AMF_Reset(field!(link, extras).as_ptr()) };
    field!(link, edepth).set(0);
}

impl Extras {
    /// The state before a text is read. The text's values may go into an open object, and are removed with it.
    fn before(link: Valid<'_, RTMP_LNK>) -> Self {
        let end = field!(link, extras.o_num).get();
        let open = c_int::from(field!(link, edepth).get() > 0);
        Self { array: 0, first: end - open, end, count: count(link) }
    }

    /// Notes the values that a text has added.
    fn note(&mut self, link: Valid<'_, RTMP_LNK>) {
        let count_now = field!(link, extras.o_num).get();
        if count_now != self.end || count(link) != self.count {
            self.array = field!(link, extras.o_props).get().addr();
            self.end = count_now;
        }
    }

    /// Removes the values, if they are still the appended ones.
    fn remove(self, link: Valid<'_, RTMP_LNK>) {
        let (array, count) = (field!(link, extras.o_props).get(), field!(link, extras.o_num));
        let (Ok(first), Ok(end), Ok(all)) =
            (usize::try_from(self.first), usize::try_from(self.end), usize::try_from(count.get()))
        else {
            return;
        };
        if self.array == 0 || self.array != array.addr() || first >= end || all < end {
            return;
        }
        // SAFETY: `o_props` has `o_num` entries, as `amf.h` says of the two fields; both ends are in the array.
        unsafe {
            for at in first..end {
                AMFProp_Reset(array.add(at));
            }
            ptr::copy(array.add(end), array.add(first), all - end);
        }
        count.change(|count| count - (self.end - self.first));
        if all == end {
            // The open object was removed.
            field!(link, edepth).set(0);
        }
    }
}

/// The number of values on the way to the innermost open object, and in it.
fn count(link: Valid<'_, RTMP_LNK>) -> c_int {
    let mut sum = 0_i32;
    let mut object = field!(link, extras);
    for _ in 0..=field!(link, edepth).get().max(0) {
        sum = sum.wrapping_add(field!(object, o_num).get());
        let Some(last) = last_object(object) else { break };
        object = last;
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::ffi::{CString, c_char};

    use super::{
        super::{Change, Kept},
        *,
    };
    use crate::{
        fields,
        ptr::{aval_bytes, from_c as c},
        rtmp::{
            RTMP, RTMP_BUFFER_CACHE_SIZE,
            close::RTMP_Close,
            lifecycle::{RTMP_Alloc, RTMP_Free, RTMP_Init},
            set_option::RTMP_SetOpt,
            setup::{RTMP_SetupStream, RTMP_SetupURL},
        },
    };

    struct Session(*mut RTMP);

    impl Session {
        fn new() -> Self {
            let r = RTMP_Alloc();
            // SAFETY: memory for an `RTMP`.
            unsafe { RTMP_Init(r) };
            Self(r)
        }

        fn rtmp(&self) -> Rtmp<'_> {
            // SAFETY: an initialised session.
            unsafe { Rtmp::new(self.0) }.unwrap()
        }

        /// Sets up a text that stays allocated.
        fn text(&self, text: &str) -> (c_int, *mut c_char) {
            let text = CString::new(text).unwrap().into_raw();
            (self.again(text), text)
        }

        fn again(&self, text: *mut c_char) -> c_int {
            // SAFETY: an initialised session and a text that stays allocated.
            unsafe { RTMP_SetupURL(Some(self.rtmp()), text) }
        }

        fn set(&self, option: &'static str, value: &'static str) {
            let string = |text: &'static str| AVal {
                av_val: text.as_ptr().cast_mut().cast(),
                av_len: text.len() as c_int,
            };
            // SAFETY: an initialised session and strings that stay allocated.
            let result =
                unsafe { RTMP_SetOpt(Some(self.rtmp()), c(&mut string(option)), &mut string(value)) };
            assert_eq!(result, 1);
        }

        fn close(&self) {
            // SAFETY: an initialised session.
            unsafe { RTMP_Close(c(self.0)) }
        }

        #[expect(
            clippy::mut_from_ref,
            reason = "the session is behind a pointer, which one test has for itself"
        )]
        fn link(&self) -> &mut RTMP_LNK {
            // SAFETY: an initialised session, whose settings nothing else uses.
            unsafe { &mut (*self.0).Link }
        }

        /// All settings of a connection.
        fn settings(&self) -> String {
            let mut all = String::new();
            for (name, field) in STRINGS {
                // None points into a freed text.
                let text = fields::text(field(field!(self.rtmp(), Link)));
                all += &format!("{name}={} ", String::from_utf8_lossy(text));
            }
            let link = self.link();
            for (name, number) in NUMBERS {
                all += &format!("{name}={} ", number(self.rtmp()).get());
            }
            let hidden = Handle::made_for(self.rtmp()).unwrap().with_settings(Settings::clone);
            let RTMP_LNK { lFlags, socksport, port, protocol, SWFSize, edepth, .. } = *link;
            all + &format!(
                "{lFlags} {socksport} {port} {protocol} {SWFSize} {edepth} {} {:?} {:?}",
                link.extras.o_num, hidden.common.local, hidden.common.tls
            )
        }
    }

    impl Drop for Session {
        fn drop(&mut self) {
            self.close();
            // SAFETY: an initialised session, which is no longer used.
            unsafe { RTMP_Free(self.0) }
        }
    }

    /// Overwrites a text with a byte that no setting may show, and frees it.
    fn destroy(text: *mut c_char, len: usize) {
        // SAFETY: made by `CString::into_raw` with that many bytes.
        unsafe {
            text.write_bytes(0xAA, len);
            drop(Box::from_raw(ptr::slice_from_raw_parts_mut(text, len + 1)));
        }
    }

    const EVERYTHING: &str = "rtmp://us%65r:pass@host1:77/app1/name1 app=a1 pageUrl=p1 swfUrl=s1 flashver=f1 conn=O:1 \
                              conn=NS:n:v conn=O:0 conn=S:t1 conn=O:1 playpath=pp1 playlist=1 live=1 subscribe=sub1 \
                              jtv=j1 token=t1 swfAge=1 start=2 stop=3 buffer=4 timeout=30 tlsVerify=0 tlsCA=ca1 \
                              bind=127.0.0.1 ipv=4 socks=proxy1:99";

    fn fresh(text: &str) -> String {
        let session = Session::new();
        assert_eq!(session.text(text).0, 1);
        session.settings()
    }

    const NEXT: [&str; 4] = [
        "rtmp://host2/app2/name2",
        "rtmp://host2",
        "rtmp://u2:p2@host2/app2/name2 swfUrl=s2 conn=S:t2 buffer=6 timeout=5",
        "rtmps://host2/app2/name2 tcUrl=t2 live=1 socks=proxy2",
    ];

    #[cfg(feature = "tls")]
    #[test]
    fn nothing_of_one_url_is_left_for_the_next() {
        for next in NEXT {
            for (closes, frees) in [(true, true), (true, false), (false, false)] {
                let session = Session::new();
                for _ in 0..2 {
                    let (result, text) = session.text(EVERYTHING);
                    assert_eq!(result, 1);
                    if closes {
                        session.close();
                    }
                    if frees {
                        destroy(text, EVERYTHING.len());
                    }
                    assert_eq!(session.text(next).0, 1);
                    assert_eq!(session.settings(), fresh(next), "{next}");
                }
            }
        }
    }

    #[test]
    fn urls_that_are_refused_leave_nothing() {
        for wrong in [
            "none",
            "rtmp://",
            "rtmp://h/a/s live=1 swfUrl=s timeout=9 nonsense=1",
            "rtmp://h/a/s tlsCA=c socks=ftp://x",
        ] {
            let session = Session::new();
            let (_, first) = session.text(EVERYTHING);
            session.close();
            destroy(first, EVERYTHING.len());
            let (result, text) = session.text(wrong);
            assert_eq!(result, 0, "{wrong}");
            // As after any failure, nothing points into the first text.
            session.settings();
            session.close();
            destroy(text, wrong.len());
            assert_eq!(session.text(NEXT[0]).0, 1);
            assert_eq!(session.settings(), fresh(NEXT[0]), "{wrong}");
        }
    }

    #[test]
    fn values_set_by_the_program_stay() {
        let session = Session::new();
        session.set("live", "1");
        session.set("conn", "S:mine");
        session.link().stopTime = 12;
        session
            .text("rtmp://h/a/s stop=5 timeout=5 conn=S:text playlist=1 swfUrl=s token=t pageUrl=p live=1");
        session.set("swfUrl", "mine");
        session.set("playlist", "1");
        session.set("conn", "S:mine too");
        session.link().token = AVal { av_val: c"mine".as_ptr().cast_mut(), av_len: 4 };
        session.link().seekTime = 7;
        session.close();
        session.text("rtmp://h/b/s");
        let settings = session.settings();
        for part in [
            "swfUrl=mine",
            "token=mine",
            "pageUrl= ",
            "stop=12",
            "start=7",
            &format!(" {} ", RTMP_LF_LIVE | RTMP_LF_PLST),
        ] {
            assert!(settings.contains(part), "{part}: {settings}");
        }
        assert_eq!(session.link().timeout, 5, "a time-out that was given once");
        let extras = session.link().extras;
        assert_eq!(extras.o_num, 2);
        // SAFETY: there are two values, both strings.
        let last = unsafe { aval_bytes(&(*extras.o_props.add(1)).p_vu.p_aval) };
        assert_eq!(last, b"mine too");
        // The program changed this number after the text had set it.
        session.text("rtmp://h/b/s buffer=5");
        // SAFETY: an initialised session.
        unsafe { (*session.0).m_nBufferMS = 6 };
        session.text("rtmp://h/c/s");
        assert!(session.settings().contains("buffer=6"));
    }

    #[test]
    fn hidden_options_of_the_program_stay_until_it_closes() {
        let session = Session::new();
        session.set("bind", "127.0.0.2");
        session.text("rtmp://h/a/s tlsVerify=0 bind=127.0.0.3");
        session.set("tlsVerify", "1");
        session.text("rtmp://h/b/s");
        assert!(session.settings().contains("127.0.0.2"), "{}", session.settings());
        assert!(session.settings().contains("verify: Some(true)"), "{}", session.settings());
    }

    #[test]
    fn same_text_passed_again_keeps_its_options() {
        let session = Session::new();
        let (_, text) = session.text(EVERYTHING);
        let first = session.settings();
        assert_eq!(session.again(text), 1);
        // The URL contains these two as well.
        let expected = first.replace("app=a1 ", "app=app1 ").replace("playpath=pp1 ", "playpath=name1 ");
        assert_eq!(session.settings(), expected);
        session.close();
        assert_eq!(session.again(text), 1);
        // Closing has reset the options without a field, and freed the library's tcUrl.
        let (expected, _) = expected.split_once(" Local").unwrap();
        let expected = expected.replace(":77/a1 ", ":77/app1 ");
        assert!(session.settings().starts_with(&expected), "{} {expected}", session.settings());
        session.text(NEXT[0]);
        assert_eq!(session.settings(), fresh(NEXT[0]));
    }

    #[test]
    fn port_of_a_proxy_stays_with_it() {
        let session = Session::new();
        session.set("socks", "proxy:99");
        for text in NEXT[..3].iter().chain(&NEXT[..1]) {
            session.text(text);
            assert!(session.settings().contains("socks=proxy "));
            assert_eq!(session.link().socksport, 99);
            session.close();
        }
        session.text("rtmp://h/a/s socks=other:5");
        session.set("socks", "third:6");
        session.text(NEXT[0]);
        assert!(session.settings().contains("socks=third "));
        assert_eq!(session.link().socksport, 6);
    }

    /// Fills the settings from a few parts.
    fn set_up_parts(session: &Session) {
        let (mut host, mut name) =
            ([c"host", c"name"]).map(|text| AVal { av_val: text.as_ptr().cast_mut(), av_len: 4 }).into();
        // SAFETY: an initialised session; null is allowed, and the strings stay allocated.
        unsafe {
            RTMP_SetupStream(
                Some(session.rtmp()),
                0,
                c(&raw mut host),
                0,
                None,
                c(&raw mut name),
                None,
                None,
                None,
                None,
                None,
                None,
                0,
                None,
                None,
                None,
                0,
                0,
                0,
                30,
            );
        }
    }

    #[test]
    fn parts_add_to_a_url_until_the_session_is_closed() {
        let session = Session::new();
        let (_, text) = session.text("rtmp://h/a/s swfUrl=s live=1");
        set_up_parts(&session);
        assert!(session.settings().contains("swfUrl=s "));
        session.close();
        destroy(text, "rtmp://h/a/s swfUrl=s live=1".len());
        set_up_parts(&session);
        let parts = Session::new();
        set_up_parts(&parts);
        assert_eq!(session.settings(), parts.settings());
    }

    #[test]
    fn settings_may_be_cleared_and_the_struct_moved() {
        for clears in [true, false] {
            let session = Session::new();
            let (_, text) = session.text(EVERYTHING);
            session.close();
            destroy(text, EVERYTHING.len());
            let moved = Session::new();
            // SAFETY: both are initialised; the first is no longer used.
            unsafe {
                ptr::copy_nonoverlapping(session.0, moved.0, 1);
                RTMP_Init(session.0);
                if clears {
                    (&raw mut (*moved.0).Link).write_bytes(0, 1);
                    (*moved.0).Link.timeout = 30;
                    (*moved.0).Link.swfAge = 30;
                }
            }
            moved.text(NEXT[0]);
            assert_eq!(moved.settings(), fresh(NEXT[0]), "{clears}");
        }
    }

    #[test]
    fn objects_that_stay_open_take_no_values_of_a_text_along() {
        let session = Session::new();
        session.set("conn", "S:mine");
        session.set("conn", "O:1");
        session.text("rtmp://h/a/s");
        session.text("rtmp://h/b/s");
        assert_eq!((session.link().extras.o_num, session.link().edepth), (2, 1), "nothing came from a text");
        session.text("rtmp://h/a/s conn=NS:n:v");
        session.text("rtmp://h/b/s");
        assert_eq!((session.link().extras.o_num, session.link().edepth), (1, 0));
        // A list that the program emptied or replaced belongs to the program.
        session.text("rtmp://h/a/s conn=S:1 conn=S:2");
        session.link().extras.o_num = 2;
        session.text("rtmp://h/b/s");
        assert_eq!(session.link().extras.o_num, 2);
    }

    #[test]
    fn bytes_that_a_peer_left_in_the_buffer_are_ignored() {
        let session = Session::new();
        session.text("rtmp://h/a/s stop=5");
        // SAFETY: an initialised session.
        unsafe {
            let last = (&raw mut (*session.0).m_sb.sb_buf).cast::<u8>().add(RTMP_BUFFER_CACHE_SIZE - 8);
            for at in 0..size_of::<Kept>() - 8 {
                *last.sub(at) ^= 1;
                let origin = Origin::in_struct(session.rtmp());
                assert!(origin == Origin::default() || origin.numbers[2].after == 5, "{at}");
                *last.sub(at) ^= 1;
            }
            assert_eq!(Origin::in_struct(session.rtmp()).numbers[2], Change { before: 0, after: 5 });
        }
    }
}
