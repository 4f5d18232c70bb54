//! A film of H.264 frames as MP4 (ISO/IEC 14496-12 and -15): one track, index before the pictures, so that it
//! plays while it loads.

/// Frames as an encoder gave them.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    /// Sequence parameter set, without start code.
    pub(super) sps: Vec<u8>,
    /// Picture parameter set.
    pub(super) pps: Vec<u8>,
    /// Each frame with lengths before its units, and whether a player may start there.
    pub(super) frames: Vec<(Vec<u8>, bool)>,
}

impl Track {
    /// Takes in a frame as a byte stream with start codes (Annex B of H.264).
    pub(super) fn push(&mut self, stream: &[u8], is_key: bool) {
        let mut frame = Vec::with_capacity(stream.len() + 8);
        for unit in units(stream) {
            match unit.first().map(|header| header & 0x1f) {
                Some(7) => self.sps = unit.to_vec(),
                Some(8) => self.pps = unit.to_vec(),
                Some(_) => {
                    frame.extend(be32(unit.len() as u64));
                    frame.extend(unit);
                }
                None => {}
            }
        }
        self.frames.push((frame, is_key));
    }
}

/// Units between start codes; zeros before a start code belong to it.
fn units(stream: &[u8]) -> Vec<&[u8]> {
    let starts: Vec<usize> =
        stream.windows(3).enumerate().filter(|(_, w)| *w == [0, 0, 1]).map(|(i, _)| i).collect();
    let ends = starts.iter().skip(1).copied().chain([stream.len()]);
    let between = starts.iter().zip(ends).filter_map(|(start, end)| stream.get(start + 3..end));
    between
        .map(|unit| {
            let n_zeros = unit.iter().rev().take_while(|byte| **byte == 0).count();
            &unit[..unit.len() - n_zeros]
        })
        .collect()
}

/// A box: length, name, content.
fn boxed(name: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let length: usize = content.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 8);
    out.extend(be32(length as u64 + 8));
    out.extend(name);
    content.iter().for_each(|part| out.extend(*part));
    out
}

/// Four bytes of a number, the highest first; what does not fit is cut to the largest.
fn be32(value: u64) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_be_bytes()
}

fn be16(value: u32) -> [u8; 2] {
    u16::try_from(value).unwrap_or(u16::MAX).to_be_bytes()
}

/// Units of time of a frame; a rate is kept to a thousandth of a frame per second.
const TICKS_PER_FRAME: u64 = 1000;

/// The identity matrix of track and film.
fn matrix() -> Vec<u8> {
    [0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x4000_0000].into_iter().flat_map(be32).collect()
}

/// The file.
pub(super) fn file(track: &Track, [width, height]: [u32; 2], fps: f64) -> Vec<u8> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a checked rate times 1000")]
    let scale = (fps * TICKS_PER_FRAME as f64).round().max(1.0) as u64;
    let duration = track.frames.len() as u64 * TICKS_PER_FRAME;
    let ftyp = boxed(b"ftyp", &[b"isom", &be32(0x200), b"isomiso2avc1mp41"]);
    // Its place is only known once its index is as long as it will be: the index is written twice.
    let probe = index(track, [width, height], scale, duration, 0).len();
    let index = index(track, [width, height], scale, duration, (ftyp.len() + probe + 16) as u64);
    let n_bytes: usize = track.frames.iter().map(|(frame, _)| frame.len()).sum();
    let mut out = Vec::with_capacity(ftyp.len() + index.len() + 16 + n_bytes);
    out.extend(ftyp);
    out.extend(index);
    // Length 1 says that the length follows in eight bytes.
    out.extend(be32(1));
    out.extend(b"mdat");
    out.extend((n_bytes as u64 + 16).to_be_bytes());
    track.frames.iter().for_each(|(frame, _)| out.extend(frame));
    out
}

/// What and where everything is.
fn index(track: &Track, [width, height]: [u32; 2], scale: u64, duration: u64, at: u64) -> Vec<u8> {
    let flags = be32(0);
    let zeros = [0u8; 24];
    let mvhd = boxed(
        b"mvhd",
        &[
            &flags,
            &zeros[..8],
            &be32(scale),
            &be32(duration),
            &be32(0x10000),
            &be16(0x100),
            &zeros[..10],
            &matrix(),
            &zeros,
            &be32(2),
        ],
    );
    let size: Vec<u8> = [width, height].into_iter().flat_map(|n| be32(u64::from(n) << 16)).collect();
    let tkhd = boxed(
        b"tkhd",
        &[
            // Enabled, in the film, in its preview.
            &be32(7),
            &zeros[..8],
            &be32(1),
            &zeros[..4],
            &be32(duration),
            &zeros[..16],
            &matrix(),
            &size,
        ],
    );
    // Language "und".
    let mdhd =
        boxed(b"mdhd", &[&flags, &zeros[..8], &be32(scale), &be32(duration), &be16(0x55c4), &zeros[..2]]);
    let hdlr = boxed(b"hdlr", &[&flags, &zeros[..4], b"vide", &zeros[..12], b"Film\0"]);
    let url = boxed(b"url ", &[&be32(1)]);
    let dref = boxed(b"dref", &[&flags, &be32(1), &url]);
    let dinf = boxed(b"dinf", &[&dref]);
    let vmhd = boxed(b"vmhd", &[&be32(1), &zeros[..8]]);
    let stbl = tables(track, [width, height], at);
    let minf = boxed(b"minf", &[&vmhd, &dinf, &stbl]);
    let mdia = boxed(b"mdia", &[&mdhd, &hdlr, &minf]);
    let trak = boxed(b"trak", &[&tkhd, &mdia]);
    boxed(b"moov", &[&mvhd, &trak])
}

fn tables(track: &Track, [width, height]: [u32; 2], at: u64) -> Vec<u8> {
    let (flags, zeros, one) = (be32(0), [0u8; 32], be32(1));
    let profile = track.sps.get(1..4).unwrap_or(&[66, 0xc0, 40]);
    let avcc = boxed(
        b"avcC",
        &[
            // Version 1, profile, lengths of 4 bytes, one set of each.
            &[1],
            profile,
            &[0xff, 0xe1],
            &be16(u32::try_from(track.sps.len()).unwrap_or(u32::MAX)),
            &track.sps,
            &[1],
            &be16(u32::try_from(track.pps.len()).unwrap_or(u32::MAX)),
            &track.pps,
        ],
    );
    // BT.709 primaries, transfer and matrix, limited range.
    let colr = boxed(b"colr", &[b"nclx", &be16(1), &be16(1), &be16(1), &[0]]);
    let avc1 = boxed(
        b"avc1",
        &[
            &zeros[..6],
            &be16(1),
            &zeros[..16],
            &be16(width),
            &be16(height),
            &be32(0x0048_0000),
            &be32(0x0048_0000),
            &zeros[..4],
            &be16(1),
            &zeros[..32],
            &be16(24),
            &be16(0xffff),
            &avcc,
            &colr,
        ],
    );
    let n_frames = be32(track.frames.len() as u64);
    let stsd = boxed(b"stsd", &[&flags, &one, &avc1]);
    let stts = boxed(b"stts", &[&flags, &one, &n_frames, &be32(TICKS_PER_FRAME)]);
    let keys: Vec<u64> =
        (1..).zip(&track.frames).filter(|(_, (_, is_key))| *is_key).map(|(number, _)| number).collect();
    let key_bytes: Vec<u8> = keys.iter().flat_map(|number| be32(*number)).collect();
    let stss = boxed(b"stss", &[&flags, &be32(keys.len() as u64), &key_bytes]);
    let stsc = boxed(b"stsc", &[&flags, &one, &one, &n_frames, &one]);
    let sizes: Vec<u8> = track.frames.iter().flat_map(|(frame, _)| be32(frame.len() as u64)).collect();
    let stsz = boxed(b"stsz", &[&flags, &zeros[..4], &n_frames, &sizes]);
    let co64 = boxed(b"co64", &[&flags, &one, &at.to_be_bytes()]);
    boxed(b"stbl", &[&stsd, &stts, &stss, &stsc, &stsz, &co64])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_between_start_codes_of_both_lengths() {
        let stream = [0, 0, 0, 1, 0x67, 9, 9, 0, 0, 0, 1, 0x68, 7, 0, 0, 1, 0x65, 1, 0, 3, 2];
        assert_eq!(units(&stream), [&[0x67, 9, 9][..], &[0x68, 7], &[0x65, 1, 0, 3, 2]]);
        let mut track = Track::default();
        track.push(&stream, true);
        assert_eq!((track.sps.as_slice(), track.pps.as_slice()), (&[0x67, 9, 9][..], &[0x68, 7][..]));
        assert_eq!(track.frames, [(vec![0, 0, 0, 5, 0x65, 1, 0, 3, 2], true)]);
        assert!(units(&[1, 2, 3]).is_empty());
    }
}
