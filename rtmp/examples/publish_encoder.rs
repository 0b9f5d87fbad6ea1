//! Publishes what an H.264 and an AAC encoder return, here read from files:
//! `cargo run --example publish_encoder -- video.h264 audio.aac rtmp://localhost/live/stream`.
//!
//! Like most hardware encoders, the files must have one slice for each frame, and no B-frames.

#![forbid(unsafe_code)]

use std::{env, error::Error, fs};

use rtmp::{Client, Publisher, amf, message::MessageType};

const FRAME_RATE: u32 = 25;
const SAMPLE_RATES: [u32; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];

// [video]
/// The parameter sets, as an AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1). Sent before the first frame.
fn video_config(sps: &[u8], pps: &[u8]) -> Vec<u8> {
    let mut body = vec![0x17, 0, 0, 0, 0]; // key frame and H.264; a configuration; composition time 0
    body.extend([1, sps[1], sps[2], sps[3]]); // version; profile, compatibility and level of the SPS
    body.extend([0xFF, 0xE1]); // four-byte NAL unit lengths; one SPS
    body.extend((sps.len() as u16).to_be_bytes().iter().chain(sps));
    body.push(1); // one PPS
    body.extend((pps.len() as u16).to_be_bytes().iter().chain(pps));
    body
}

/// A frame: NAL units with four-byte lengths in front. `offset` is PTS minus DTS in milliseconds, 0 without B-frames.
fn video_frame(nal_units: &[&[u8]], key: bool, offset: u32) -> Vec<u8> {
    let mut body = vec![if key { 0x17 } else { 0x27 }, 1];
    body.extend(&offset.to_be_bytes()[1..]);
    for nal in nal_units {
        body.extend((nal.len() as u32).to_be_bytes().iter().chain(*nal));
    }
    body
}
// [video end]

// [audio]
/// The AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), made from an ADTS header. Sent before the first sound.
fn audio_config(adts: &[u8]) -> Vec<u8> {
    let (object_type, rate) = ((adts[2] >> 6) + 1, adts[2] >> 2 & 15);
    let channels = (adts[2] & 1) << 2 | adts[3] >> 6;
    vec![0xAF, 0, object_type << 3 | rate >> 1, rate << 7 | channels << 3]
}

/// The AAC frames of a file, without their ADTS headers.
fn sounds(mut file: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let header = file.get(..7)?;
        let size =
            usize::from(header[3] & 3) << 11 | usize::from(header[4]) << 3 | usize::from(header[5]) >> 5;
        let frame = file.get(7..size)?;
        file = &file[size..];
        Some(frame)
    })
}
// [audio end]

/// The NAL units of an Annex B stream, without start codes.
fn nal_units(file: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        file.windows(3).enumerate().filter(|(_, bytes)| bytes == b"\0\0\x01").map(|(at, _)| at + 3).collect();
    let ends = starts.iter().skip(1).map(|next| next - 3).chain([file.len()]);
    let units = starts.iter().zip(ends).map(|(start, end)| &file[*start..end]);
    // The zero of a four-byte start code is not part of the NAL unit before it.
    units.map(|unit| unit.strip_suffix(b"\0").unwrap_or(unit)).filter(|unit| unit.len() > 3).collect()
}

fn send_metadata(publisher: &mut Publisher) -> rtmp::Result<()> {
    let mut body = amf::Encoder::new();
    // @setDataFrame makes the server keep the metadata for later players.
    body.string(b"@setDataFrame").string(b"onMetaData").begin_object();
    let values = [("framerate", FRAME_RATE.into()), ("videocodecid", 7.0), ("audiocodecid", 10.0)];
    for (name, value) in values {
        body.named_number(name.as_bytes(), value);
    }
    body.end_object();
    publisher.send(MessageType::DATA, 0, &body.finish())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [video, audio, url] = &arguments[..] else {
        return Err("usage: publish_encoder VIDEO AUDIO URL".into());
    };
    let (video, audio) = (fs::read(video)?, fs::read(audio)?);
    let rate = audio.get(2).and_then(|byte| SAMPLE_RATES.get(usize::from(byte >> 2 & 15)));
    let sample_rate = u64::from(*rate.ok_or("the audio file has no ADTS headers")?);

    let mut publisher = Client::new(url)?.publish()?;
    publisher.set_chunk_size(60_000)?;
    send_metadata(&mut publisher)?;
    publisher.send(MessageType::AUDIO, 0, &audio_config(&audio))?;
    // [loop]
    let mut sounds = sounds(&audio).enumerate().peekable();
    // A frame has 1024 samples. Times calculated from their number do not drift.
    let time_of = |sound: usize| (sound as u64 * 1024 * 1000 / sample_rate) as u32;
    let (mut frames, mut sps) = (0, None);
    for nal in nal_units(&video) {
        match nal[0] & 31 {
            7 => sps = Some(nal),
            8 => {
                if let (0, Some(sps)) = (frames, sps) {
                    publisher.send(MessageType::VIDEO, 0, &video_config(sps, nal))?;
                }
            }
            kind @ (1 | 5) => {
                let time = frames * 1000 / FRAME_RATE;
                publisher.send(MessageType::VIDEO, time, &video_frame(&[nal], kind == 5, 0))?;
                frames += 1;
                // Audio and video are interleaved by time.
                while let Some((number, sound)) = sounds.next_if(|(number, _)| time_of(*number) <= time) {
                    publisher.send(MessageType::AUDIO, time_of(number), &[&[0xAF, 1], sound].concat())?;
                }
            }
            _ => {}
        }
    }
    // [loop end]
    publisher.finish()?;
    println!("{frames} frames");
    Ok(())
}
