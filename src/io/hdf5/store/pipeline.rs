//! The filters that a chunk went through, undone in reverse; every step is bounded by the size of the chunk.
//!
//! Numbers are those under which The HDF Group registers filters.

use std::io::Read as _;

use flate2::{Decompress, FlushDecompress, Status};
use hdf5_reader::filters::apply_pipeline_with_limit;
use hdf5_reader::messages::filter_pipeline::FilterDescription;
use zarrs::array::codec::{blosc_decompress_bytes, blosc_validate};

use super::squeeze::{bits_apart, bytes_apart, lzf};
use super::text;

const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
const BZIP2: u16 = 307;
const LZF: u16 = 32_000;
const BLOSC: u16 = 32_001;
const LZ4: u16 = 32_004;
const BITSHUFFLE: u16 = 32_008;
const ZSTD: u16 = 32_015;

/// Names of registered filters that are not undone here.
const KNOWN: [(u16, &str); 9] = [
    (32_006, "CZMQ"),
    (32_013, "ZFP"),
    (32_014, "fpzip"),
    (32_017, "SZ"),
    (32_018, "FCIDECOMP"),
    (32_019, "JPEG"),
    (32_024, "SZ3"),
    (32_026, "Blosc2"),
    (32_028, "SPERR"),
];

/// What a bitshuffle filter says of the compression behind it.
const BITSHUFFLE_LZ4: u32 = 2;
const BITSHUFFLE_ZSTD: u32 = 3;

/// Filters in the order in which they were applied.
pub(super) struct Pipeline(Vec<FilterDescription>);

/// One chunk on its way back.
struct Step<'a> {
    filter: &'a FilterDescription,
    /// Bytes of a value.
    size: usize,
    /// Bytes that come out at most.
    limit: usize,
}

impl Pipeline {
    pub(super) fn new(filters: Vec<FilterDescription>) -> Self {
        Self(filters)
    }

    /// Undoes the filters; bit `n` of `mask` says that filter `n` was left out.
    pub(super) fn decode(
        &self,
        raw: Vec<u8>,
        mask: u32,
        size: usize,
        n_bytes: usize,
    ) -> Result<Vec<u8>, String> {
        let mut bytes = raw;
        // What is still to be undone may be a little longer than the chunk.
        let limit = n_bytes.saturating_add(n_bytes / 4).saturating_add(1 << 12);
        for (at, filter) in self.0.iter().enumerate().rev() {
            if at < 32 && mask & (1 << at) != 0 {
                continue;
            }
            let last = self.0[..at].is_empty();
            let step = Step { filter, size, limit: if last { n_bytes } else { limit } };
            bytes = step.undo(bytes)?;
        }
        if bytes.len() < n_bytes {
            return Err(format!("a chunk of {} bytes instead of {n_bytes}", bytes.len()));
        }
        bytes.truncate(n_bytes);
        Ok(bytes)
    }
}

impl Step<'_> {
    fn undo(&self, bytes: Vec<u8>) -> Result<Vec<u8>, String> {
        match self.filter.id {
            DEFLATE => self.inflate(&bytes),
            SHUFFLE => Ok(bytes_apart(bytes, self.word())),
            BZIP2 => self.bunzip(&bytes),
            LZF => lzf(&bytes, self.option(2).map_or(self.limit, |n| n as usize).min(self.limit)),
            BLOSC => self.blosc(&bytes),
            BITSHUFFLE => self.bitshuffle(&bytes),
            LZ4 => self.lz4(&bytes),
            ZSTD => Self::zstd(&bytes, self.limit),
            id if id < 32 => apply_pipeline_with_limit(
                &bytes,
                std::slice::from_ref(self.filter),
                0,
                self.size,
                None,
                Some(self.limit),
            )
            .map_err(text),
            id => {
                let known = KNOWN.iter().find(|(known, _)| *known == id).map(|(_, name)| (*name).to_owned());
                let name =
                    known.or_else(|| self.filter.name.clone()).unwrap_or_else(|| "an unknown one".to_owned());
                Err(format!(
                    "compressed by filter {id} ({name}), which is not read: repack the file with gzip (h5repack -f GZIP=4)"
                ))
            }
        }
    }

    /// A number that the filter keeps with the dataset.
    fn option(&self, at: usize) -> Option<u32> {
        self.filter.client_data.get(at).copied().filter(|n| *n > 0)
    }

    /// Bytes of a value as the shuffle filter was told.
    fn word(&self) -> usize {
        self.option(0).map_or(self.size, |n| n as usize)
    }

    fn inflate(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = vec![0; self.limit];
        let mut inflater = Decompress::new(true);
        let status = inflater.decompress(bytes, &mut out, FlushDecompress::Finish).map_err(text)?;
        let n = inflater.total_out() as usize;
        if status != Status::StreamEnd && n < self.limit {
            return Err("a chunk whose gzip data end too soon".to_owned());
        }
        out.truncate(n);
        Ok(out)
    }

    fn bunzip(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        bzip2::read::MultiBzDecoder::new(bytes)
            .take(self.limit as u64)
            .read_to_end(&mut out)
            .map_err(text)?;
        Ok(out)
    }

    /// The size of the chunk and of a block, then blocks, each with its size; one that would not shrink stands as it is.
    ///
    /// The parsing crate undoes only a single block.
    fn lz4(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let short = "lz4 data that end too soon";
        let header = bytes.get(..12).ok_or(short)?;
        let whole = usize::try_from(big_endian(&header[..8])).ok().filter(|n| *n <= self.limit);
        let whole = whole.ok_or_else(|| format!("lz4 data of more than {} bytes", self.limit))?;
        let block = big_endian(&header[8..]) as usize;
        let mut out = Vec::with_capacity(whole);
        let mut rest = &bytes[12..];
        while out.len() < whole && block > 0 {
            let n = block.min(whole - out.len());
            let length = big_endian(rest.get(..4).ok_or(short)?) as usize;
            let packed = rest.get(4..4 + length).ok_or(short)?;
            rest = &rest[4 + length..];
            if length == n {
                out.extend_from_slice(packed);
            } else {
                out.extend(lz4_flex::block::decompress(packed, n).map_err(|e| format!("lz4: {e}"))?);
            }
        }
        Ok(out)
    }

    fn zstd(bytes: &[u8], limit: usize) -> Result<Vec<u8>, String> {
        zstd::bulk::decompress(bytes, limit).map_err(|e| format!("zstd: {e}"))
    }

    fn blosc(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let n = blosc_validate(bytes).filter(|n| *n <= self.limit);
        let n = n.ok_or_else(|| format!("blosc data of another size than {}", self.limit))?;
        if n == 0 {
            return Ok(Vec::new());
        }
        blosc_decompress_bytes(bytes, n, 1).map_err(text)
    }

    /// Blocks of values whose bits stand apart, each compressed by itself.
    fn bitshuffle(&self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let word = self.option(2).map_or(self.size, |n| n as usize);
        let code = self.filter.client_data.get(4).copied().unwrap_or(0);
        if word == 0 || word > 1 << 12 {
            return Err(format!("bitshuffle of values of {word} bytes"));
        }
        if !matches!(code, BITSHUFFLE_LZ4 | BITSHUFFLE_ZSTD) {
            let block = self.option(3).map_or_else(|| default_block(word), |n| n as usize);
            return bits_apart(bytes, word, block).ok_or_else(|| format!("bitshuffle in blocks of {block}"));
        }
        let header = bytes.get(..12).ok_or("bitshuffle data without a header")?;
        let whole = big_endian(&header[..8]);
        let block = big_endian(&header[8..]) as usize / word;
        let whole = usize::try_from(whole).ok().filter(|n| *n <= self.limit);
        let (Some(whole), true) = (whole, block > 0 && block.is_multiple_of(8)) else {
            return Err("bitshuffle data of another size than the chunk".to_owned());
        };
        let mut out = Vec::with_capacity(whole);
        let mut rest = &bytes[12..];
        while whole - out.len() >= 8 * word {
            let n = (whole - out.len()).min(block * word) / (8 * word) * (8 * word);
            let length = rest.get(..4).ok_or("bitshuffle data that end too soon")?;
            let length = big_endian(length) as usize;
            let packed = rest.get(4..4 + length).ok_or("bitshuffle data that end too soon")?;
            rest = &rest[4 + length..];
            let unpacked = if code == BITSHUFFLE_LZ4 {
                lz4_flex::block::decompress(packed, n).map_err(|e| format!("lz4: {e}"))?
            } else {
                Self::zstd(packed, n)?
            };
            if unpacked.len() != n {
                return Err(format!("a block of {} bytes instead of {n}", unpacked.len()));
            }
            out.extend(bits_apart(&unpacked, word, n / word).ok_or("a block of no whole values")?);
        }
        // Fewer than eight values at the end stand as they are.
        out.extend_from_slice(rest.get(..whole - out.len()).ok_or("bitshuffle data that end too soon")?);
        Ok(out)
    }
}

/// A number whose first byte counts most.
fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

/// Values in a block where the filter leaves that to itself.
fn default_block(word: usize) -> usize {
    (8192 / word / 8 * 8).max(128)
}
