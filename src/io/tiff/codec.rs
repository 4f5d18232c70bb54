//! Strips and tiles as they are compressed.
//!
//! Each is given the number of bytes that it must hold and never takes more.

use std::fs::File;
use std::io::Read as _;

use super::container::{Container, Directory};
use super::page::tag;

/// How the pieces of a page are packed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Codec {
    kind: Kind,
    /// Whether the first bit of a byte is its lowest.
    is_reversed: bool,
    /// Tables that all JPEG pieces share.
    jpeg_tables: Vec<u8>,
    /// Whether the colours of JPEG are brightness and two differences.
    is_ycbcr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
    Fax3,
    Fax4,
}

/// Names of what is not unpacked.
fn name_of(compression: u64) -> String {
    let name = match compression {
        6 => "JPEG of the old kind",
        2 => "CCITT runs",
        9 | 10 | 34661 => "JBIG",
        32766 => "NeXT runs",
        32809 => "ThunderScan",
        34676 | 34677 => "SGI LogLuv",
        33003 | 33005 | 33007 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34892 => "lossy JPEG of DNG",
        34925 => "LZMA",
        34933 | 34934 => "PNG or JPEG XR",
        22610 | 34935 => "JPEG XR",
        50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        65000..=65002 => "EER",
        _ => return format!("number {compression}"),
    };
    format!("{name} ({compression})")
}

impl Codec {
    pub(super) fn of(
        container: &Container,
        file: &File,
        from: &Directory,
        photometric: u64,
    ) -> Result<Self, String> {
        let kind = match container.count(file, from, tag::COMPRESSION)?.unwrap_or(1) {
            0 | 1 => Kind::Plain,
            3 if container.count(file, from, tag::FAX_OPTIONS)?.unwrap_or(0).trailing_zeros() >= 2 => {
                Kind::Fax3
            }
            4 => Kind::Fax4,
            5 => Kind::Lzw,
            7 => Kind::Jpeg,
            8 | 32946 => Kind::Deflate,
            32773 => Kind::PackBits,
            50000 | 34926 => Kind::Zstd,
            other => {
                return Err(format!(
                    "a TIFF compressed with {} is not read; save it uncompressed, or with deflate, LZW or zstd",
                    name_of(other)
                ));
            }
        };
        let jpeg_tables = match kind {
            Kind::Jpeg => container.raw(file, from, tag::JPEG_TABLES)?.unwrap_or_default(),
            _ => Vec::new(),
        };
        let is_reversed = container.count(file, from, tag::FILL_ORDER)? == Some(2);
        Ok(Self { kind, is_reversed, jpeg_tables, is_ycbcr: photometric == 6 })
    }

    /// Whether bytes are stored as they are.
    pub(super) fn is_plain(&self) -> bool {
        self.kind == Kind::Plain && !self.is_reversed
    }

    /// Whether some programs never take values packed like this for differences.
    pub(super) fn has_no_predictor(&self) -> bool {
        matches!(self.kind, Kind::Plain | Kind::PackBits)
    }

    /// Whether colours come out as red, green and blue, in the machine's order.
    pub(super) fn is_jpeg(&self) -> bool {
        self.kind == Kind::Jpeg
    }

    /// Unpacks a piece into exactly `out`; `width` pixels a row.
    pub(super) fn unpack(&self, mut packed: Vec<u8>, out: &mut [u8], width: usize) -> Result<(), String> {
        if self.is_reversed {
            packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
        }
        let n = match self.kind {
            Kind::Plain => fill(&packed, out),
            Kind::Lzw => lzw(&packed, out)?,
            Kind::Deflate => deflate(&packed, out)?,
            Kind::PackBits => pack_bits(&packed, out),
            Kind::Zstd => zstd(&packed, out)?,
            Kind::Jpeg => self.jpeg(&packed, out, width)?,
            Kind::Fax3 | Kind::Fax4 => fax(&packed, out, width, self.kind == Kind::Fax4)?,
        };
        if n < out.len() {
            return Err(format!("{n} of {} bytes are there; copy it again", out.len()));
        }
        Ok(())
    }

    fn jpeg(&self, packed: &[u8], out: &mut [u8], width: usize) -> Result<usize, String> {
        use zune_jpeg::zune_core::bytestream::ZCursor;
        use zune_jpeg::zune_core::colorspace::ColorSpace;
        use zune_jpeg::zune_core::options::DecoderOptions;
        // The shared tables end with a mark of the end, the piece begins with one of the beginning.
        let tables = self.jpeg_tables.len().checked_sub(2).map_or(&[][..], |n| &self.jpeg_tables[..n]);
        let picture = if tables.is_empty() { packed } else { packed.get(2..).unwrap_or_default() };
        let whole = [tables, picture].concat();
        let mut decoder = zune_jpeg::JpegDecoder::new(ZCursor::new(&whole));
        let text = |e| format!("JPEG: {e:?}");
        decoder.decode_headers().map_err(text)?;
        let found = decoder.input_colorspace().unwrap_or(ColorSpace::Luma);
        let wanted = if self.is_ycbcr && found == ColorSpace::YCbCr { ColorSpace::RGB } else { found };
        decoder.set_options(DecoderOptions::default().jpeg_set_out_colorspace(wanted));
        let found = decoder.info().map(|info| usize::from(info.width));
        if found != Some(width)
            || decoder.output_buffer_size().is_none_or(|n| n > out.len().saturating_mul(2))
        {
            return Err("JPEG: a piece of another size than the page says".to_owned());
        }
        Ok(fill(&decoder.decode().map_err(text)?, out))
    }
}

fn fill(from: &[u8], out: &mut [u8]) -> usize {
    let n = from.len().min(out.len());
    out[..n].copy_from_slice(&from[..n]);
    n
}

fn deflate(packed: &[u8], out: &mut [u8]) -> Result<usize, String> {
    let mut inflater = flate2::Decompress::new(true);
    // What follows the values, such as a checksum cut off, does not matter.
    let result = inflater.decompress(packed, out, flate2::FlushDecompress::Finish);
    let n = usize::try_from(inflater.total_out()).unwrap_or(0);
    if n < out.len() {
        result.map_err(|e| format!("deflate: {e}"))?;
    }
    Ok(n)
}

fn lzw(packed: &[u8], out: &mut [u8]) -> Result<usize, String> {
    use weezl::{BitOrder, LzwStatus, decode::Decoder};
    // Files of before 1992 begin with a clear code in the other order of bits.
    let is_old = packed.len() > 1 && packed[0] == 0 && packed[1] & 1 == 1;
    let mut decoder = if is_old {
        Decoder::new(BitOrder::Lsb, 8)
    } else {
        Decoder::with_tiff_size_switch(BitOrder::Msb, 8)
    };
    let (mut read, mut written) = (0, 0);
    while written < out.len() {
        let result = decoder.decode_bytes(&packed[read..], &mut out[written..]);
        (read, written) = (read + result.consumed_in, written + result.consumed_out);
        match result.status {
            Ok(LzwStatus::Ok) => {}
            Ok(LzwStatus::NoProgress | LzwStatus::Done) => break,
            Err(e) => return Err(format!("LZW: {e}")),
        }
    }
    Ok(written)
}

fn zstd(packed: &[u8], out: &mut [u8]) -> Result<usize, String> {
    let mut decoder = zstd::Decoder::with_buffer(packed).map_err(|e| format!("zstd: {e}"))?;
    let mut n = 0;
    while n < out.len() {
        match decoder.read(&mut out[n..]).map_err(|e| format!("zstd: {e}"))? {
            0 => break,
            more => n += more,
        }
    }
    Ok(n)
}

/// Runs of bytes. Source: TIFF 6.0, section 9.
fn pack_bits(packed: &[u8], out: &mut [u8]) -> usize {
    let (mut at, mut n) = (0, 0);
    while n < out.len() {
        let Some(head) = packed.get(at).copied() else { break };
        at += 1;
        if head == 128 {
            continue;
        }
        let room = out.len() - n;
        if head < 128 {
            let literal = packed.get(at..).unwrap_or_default();
            let length = (usize::from(head) + 1).min(room).min(literal.len());
            out[n..n + length].copy_from_slice(&literal[..length]);
            if length == 0 {
                break;
            }
            (at, n) = (at + length, n + length);
        } else {
            let Some(byte) = packed.get(at).copied() else { break };
            let length = (257 - usize::from(head)).min(room);
            out[n..n + length].fill(byte);
            (at, n) = (at + 1, n + length);
        }
    }
    n
}

/// Runs of white and black; a set bit is black, as the page says with its photometric tag.
fn fax(packed: &[u8], out: &mut [u8], width: usize, is_group_4: bool) -> Result<usize, String> {
    let row_bytes = width.div_ceil(8);
    let columns = u16::try_from(width).map_err(|_e| format!("a fax of {width} columns"))?;
    let n_rows = out.len() / row_bytes.max(1);
    out.fill(0);
    let mut row = 0;
    let mut put = |changes: &[u16]| {
        let Some(bits) = out.get_mut(row * row_bytes..(row + 1) * row_bytes) else { return };
        // White up to the first change, black up to the second.
        for run in changes.chunks(2).filter(|run| run[0] < columns) {
            let end = run.get(1).copied().unwrap_or(columns).min(columns);
            (run[0]..end).for_each(|x| bits[usize::from(x) / 8] |= 0x80 >> (x % 8));
        }
        row += 1;
    };
    if is_group_4 {
        let height = u16::try_from(n_rows).map_err(|_e| format!("a fax of {n_rows} rows in one strip"))?;
        fax::decoder::decode_g4(packed.iter().copied(), columns, Some(height), put)
            .ok_or("damaged fax compression; copy it again")?;
        return Ok(out.len());
    }
    let bytes = packed.iter().map(|byte| Ok::<u8, std::convert::Infallible>(*byte));
    let mut decoder = fax::decoder::Group3Decoder::new(bytes).map_err(|e| format!("fax: {e}"))?;
    for _ in 0..n_rows {
        match decoder.advance() {
            Ok(status) => {
                put(decoder.transitions());
                if status == fax::decoder::DecodeStatus::End {
                    break;
                }
            }
            // The last row may lack its mark of the end.
            Err(_) => {
                put(decoder.transitions());
                break;
            }
        }
    }
    Ok(row * row_bytes)
}
