//! Codecs whose output is bounded, and those that zarrs lacks: zstd, gzip, zlib, bz2, lz4, crc32.
//!
//! Chunks come from strangers: what a chunk unpacks to is known from the shape of the array, and no decoder writes more.
//! Names: those of Zarr 3, `numcodecs.NAME` of zarr-python, and the bare names of Zarr 2.
//! Reference: zarr.readthedocs.io (codecs), numcodecs.readthedocs.io.

use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, Once};

use zarrs::array::codec::api::{
    CodecRuntimePluginV3, PartialDecoderCapability, PartialEncoderCapability, register_codec_v3,
};
use zarrs::array::codec::{BloscCodec, BloscCompressionLevel, BloscCompressor, BloscShuffleMode};
use zarrs::array::{
    ArrayBytesRaw, BytesRepresentation, BytesToBytesCodecTraits, Codec, CodecError, CodecMetadataOptions,
    CodecOptions, CodecTraits, RecommendedConcurrency,
};
use zarrs::metadata::Configuration;
use zarrs::metadata::v3::MetadataV3;
use zarrs::plugin::{ExtensionName, PluginCreateError, ZarrVersion};

use super::filters::Filter;

/// How bytes are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packing {
    Zstd,
    Gzip,
    Zlib,
    Bz2,
    Lz4,
    Crc32,
    Crc32c,
}

const PACKINGS: [(&str, Packing); 7] = [
    ("zstd", Packing::Zstd),
    ("gzip", Packing::Gzip),
    ("zlib", Packing::Zlib),
    ("bz2", Packing::Bz2),
    ("lz4", Packing::Lz4),
    ("crc32", Packing::Crc32),
    ("crc32c", Packing::Crc32c),
];

/// Makes the codecs of this file known to zarrs; does so once.
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _registered_for_good = register_codec_v3(CodecRuntimePluginV3::new(
            |name| Packed::named(name).is_some() || bare(name) == Some("blosc") || Filter::is_known(name),
            create,
        ));
    });
}

/// The name without the prefix of zarr-python; `None` for a name without it.
fn bare(name: &str) -> Option<&str> {
    name.strip_prefix("numcodecs.")
}

fn create(metadata: &MetadataV3) -> Result<Codec, PluginCreateError> {
    let name = metadata.name();
    let fields = metadata.configuration().cloned().unwrap_or_default();
    if let Some(packed) = Packed::named(name) {
        return Ok(Codec::BytesToBytes(Arc::new(Packed { fields, ..packed })));
    }
    if Filter::is_known(name) {
        return Filter::create(name, fields).map(|filter| Codec::ArrayToArray(Arc::new(filter)));
    }
    // A block of Blosc says itself how it was packed.
    let level =
        BloscCompressionLevel::try_from(1u8).map_err(|_level| PluginCreateError::from("a level of Blosc"))?;
    let blosc = BloscCodec::new(BloscCompressor::Zstd, level, None, BloscShuffleMode::NoShuffle, None)?;
    Ok(Codec::BytesToBytes(Arc::new(blosc)))
}

/// A codec that packs bytes.
#[derive(Debug, Clone)]
struct Packed {
    name: &'static str,
    packing: Packing,
    fields: Configuration,
}

impl Packed {
    fn named(name: &str) -> Option<Self> {
        // The checksum of Zarr 3, which is written too, is that of zarrs; it has no place to choose.
        if name == "crc32c" {
            return None;
        }
        let (name, packing) = PACKINGS.into_iter().find(|(known, _)| *known == bare(name).unwrap_or(name))?;
        Some(Self { name, packing, fields: Configuration::default() })
    }
}

/// Reads to the end, but never more than `limit` bytes.
fn bounded(reader: impl Read, limit: usize) -> Result<Vec<u8>, CodecError> {
    let mut bytes = Vec::with_capacity(limit);
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit { Err(too_much(limit)) } else { Ok(bytes) }
}

fn too_much(limit: usize) -> CodecError {
    CodecError::Other(format!("a chunk unpacks to more than the {limit} bytes that it may have"))
}

/// One block of LZ4 behind its size as 32 bits.
fn lz4(bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
    let cut = || CodecError::Other("a chunk packed with LZ4 is cut short".to_owned());
    let (size, block) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
    let size = u32::from_le_bytes(*size) as usize;
    if size > limit {
        return Err(too_much(limit));
    }
    lz4_flex::block::decompress(block, size).map_err(|error| CodecError::Other(error.to_string()))
}

/// What a checksum of four bytes belongs to, if it is right.
fn checked(bytes: &[u8], is_behind: bool, sum_of: fn(&[u8]) -> u32) -> Result<Vec<u8>, CodecError> {
    let first = || bytes.split_first_chunk::<4>();
    let last = || bytes.split_last_chunk::<4>().map(|(rest, sum)| (sum, rest));
    let (sum, rest) = if is_behind { last() } else { first() }.ok_or(CodecError::InvalidChecksum)?;
    let is_right = u32::from_le_bytes(*sum) == sum_of(rest);
    is_right.then(|| rest.to_vec()).ok_or(CodecError::InvalidChecksum)
}

impl Packing {
    fn unpack(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, CodecError> {
        match self {
            // Writes into what is allocated, whatever the frame says about its size.
            Self::Zstd => Ok(zstd::bulk::decompress(bytes, limit)?),
            Self::Gzip => bounded(flate2::read::MultiGzDecoder::new(bytes), limit),
            Self::Zlib => bounded(flate2::read::ZlibDecoder::new(bytes), limit),
            Self::Bz2 => bounded(bzip2::read::MultiBzDecoder::new(bytes), limit),
            Self::Lz4 => lz4(bytes, limit),
            Self::Crc32 => checked(bytes, false, crc32fast::hash),
            Self::Crc32c => checked(bytes, true, crc32c::crc32c),
        }
    }

    /// The most bytes that `size` bytes are packed into.
    fn most(self, size: u64) -> u64 {
        match self {
            Self::Crc32 | Self::Crc32c => size.saturating_add(4),
            // No encoder doubles its input; a few headers are added to small ones.
            _ => size.saturating_mul(2).saturating_add(1 << 12),
        }
    }
}

impl ExtensionName for Packed {
    fn name(&self, _version: ZarrVersion) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(self.name))
    }
}

impl CodecTraits for Packed {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn configuration(&self, _version: ZarrVersion, _options: &CodecMetadataOptions) -> Option<Configuration> {
        Some(self.fields.clone())
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        PartialDecoderCapability { partial_read: false, partial_decode: false }
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        PartialEncoderCapability { partial_encode: false }
    }
}

impl BytesToBytesCodecTraits for Packed {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn BytesToBytesCodecTraits> {
        self
    }

    fn recommended_concurrency(&self, _: &BytesRepresentation) -> Result<RecommendedConcurrency, CodecError> {
        Ok(RecommendedConcurrency::new_maximum(1))
    }

    fn encoded_representation(&self, decoded: &BytesRepresentation) -> BytesRepresentation {
        decoded.size().map_or(BytesRepresentation::UnboundedSize, |size| {
            BytesRepresentation::BoundedSize(self.packing.most(size))
        })
    }

    fn encode<'a>(
        &self,
        decoded_value: ArrayBytesRaw<'a>,
        _options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        // Only what this program creates is written to.
        if self.packing != Packing::Zstd {
            return Err(CodecError::Other(format!("{} is read, not written", self.name)));
        }
        let level = self.fields.get("level").and_then(serde_json::Value::as_i64).unwrap_or(3);
        Ok(zstd::bulk::compress(&decoded_value, i32::try_from(level).unwrap_or(3))?.into())
    }

    fn decode<'a>(
        &self,
        encoded_value: ArrayBytesRaw<'a>,
        decoded_representation: &BytesRepresentation,
        _options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        let limit = decoded_representation.size().and_then(|size| usize::try_from(size).ok());
        let limit = limit.ok_or_else(|| CodecError::Other("a chunk of unknown size".to_owned()))?;
        // numcodecs puts one checksum before the values and the other behind them, unless it is told where.
        let is_behind = self.fields.get("location").map(|at| at == "end");
        if let (Packing::Crc32 | Packing::Crc32c, Some(is_behind)) = (self.packing, is_behind) {
            let sum_of = if self.packing == Packing::Crc32 { crc32fast::hash } else { crc32c::crc32c };
            return Ok(checked(&encoded_value, is_behind, sum_of)?.into());
        }
        Ok(self.packing.unpack(&encoded_value, limit)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_unpacks_to_more_than_it_may() {
        let zeros = vec![0u8; 1 << 20];
        let pack = |packing: Packing| -> Vec<u8> {
            let mut out = Vec::new();
            let level = flate2::Compression::default();
            match packing {
                Packing::Zstd => out = zstd::bulk::compress(&zeros, 3).unwrap(),
                Packing::Gzip => {
                    drop(flate2::read::GzEncoder::new(zeros.as_slice(), level).read_to_end(&mut out));
                }
                Packing::Zlib => {
                    drop(flate2::read::ZlibEncoder::new(zeros.as_slice(), level).read_to_end(&mut out));
                }
                Packing::Bz2 => drop(
                    bzip2::read::BzEncoder::new(zeros.as_slice(), bzip2::Compression::best())
                        .read_to_end(&mut out),
                ),
                Packing::Lz4 => {
                    out = (zeros.len() as u32).to_le_bytes().to_vec();
                    out.extend(lz4_flex::block::compress(&zeros));
                }
                Packing::Crc32 => {
                    out = crc32fast::hash(&zeros).to_le_bytes().to_vec();
                    out.extend(&zeros);
                }
                Packing::Crc32c => {
                    out = zeros.clone();
                    out.extend(crc32c::crc32c(&zeros).to_le_bytes());
                }
            }
            out
        };
        for (name, packing) in PACKINGS {
            let packed = pack(packing);
            assert_eq!(packing.unpack(&packed, zeros.len()).unwrap(), zeros, "{name}");
            if !matches!(packing, Packing::Crc32 | Packing::Crc32c) {
                assert!(packing.unpack(&packed, 1000).is_err(), "{name}");
            }
            for cut in [0, 3, packed.len() / 2] {
                drop(packing.unpack(&packed[..cut], zeros.len()));
            }
        }
        assert!(Packing::Crc32.unpack(&[1, 2, 3, 4, 5], 10).is_err());
    }
}
