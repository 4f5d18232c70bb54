//! Filters of numcodecs that change values before they are packed: `delta`, `fixedscaleoffset` and `quantize`. Read, never
//! written.
//!
//! Both flatten a chunk in the order of its memory. Reference: numcodecs.readthedocs.io.
#![cfg_attr(
    not(test),
    expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole numbers wrap and floats are cut, as in NumPy; widths are 1 to 8 bytes"
    )
)]

use std::borrow::Cow;
use std::num::NonZeroU64;
use std::sync::Arc;

use zarrs::array::codec::api::{PartialDecoderCapability, PartialEncoderCapability};
use zarrs::array::{
    ArrayBytes, ArrayCodecTraits, ArrayPartialDecoderTraits, ArraySubset, ArrayToArrayCodecTraits,
    CodecError, CodecMetadataOptions, CodecOptions, CodecTraits, DataType, FillValue, Indexer,
    RecommendedConcurrency, data_type,
};
use zarrs::metadata::Configuration;
use zarrs::plugin::{ExtensionName, PluginCreateError, ZarrVersion};
use zarrs::storage::StorageError;

/// A type of numbers as NumPy spells it: kind and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numeric {
    kind: char,
    n_bytes: usize,
    /// Whether the name says that the most significant byte comes first.
    pub(super) is_big_endian: bool,
}

impl Numeric {
    /// The type of a name such as "<i2" or "float32".
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (order, rest) = match name.strip_prefix(['<', '>', '|', '=']) {
            Some(rest) => (name.chars().next(), rest),
            None => (None, name),
        };
        let long = [("uint", 'u'), ("int", 'i'), ("float", 'f')]
            .into_iter()
            .find_map(|(word, kind)| Some((kind, rest.strip_prefix(word)?.parse::<usize>().ok()? / 8)));
        let short = || Some((rest.chars().next()?, rest.get(1..)?.parse::<usize>().ok()?));
        let (kind, n_bytes) = long.or_else(short)?;
        let is_known = matches!((kind, n_bytes), ('u' | 'i', 1 | 2 | 4 | 8) | ('f', 4 | 8));
        is_known.then_some(Self { kind, n_bytes, is_big_endian: order == Some('>') })
    }

    fn data_type(self) -> DataType {
        match (self.kind, self.n_bytes) {
            ('u', 1) => data_type::uint8(),
            ('u', 2) => data_type::uint16(),
            ('u', 4) => data_type::uint32(),
            ('u', _) => data_type::uint64(),
            ('i', 1) => data_type::int8(),
            ('i', 2) => data_type::int16(),
            ('i', 4) => data_type::int32(),
            ('i', _) => data_type::int64(),
            (_, 4) => data_type::float32(),
            _ => data_type::float64(),
        }
    }

    /// A whole number from its bytes; those of 64 bits without a sign wrap.
    fn whole(self, bytes: &[u8]) -> i64 {
        let mut wide = [0; 8];
        wide[..bytes.len()].copy_from_slice(bytes);
        let shift = 64 - 8 * bytes.len() as u32;
        let value = i64::from_le_bytes(wide);
        if self.kind == 'i' { (value << shift) >> shift } else { value }
    }

    fn number(self, bytes: &[u8]) -> f64 {
        match (self.kind, bytes) {
            ('f', &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            ('f', &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            ('u', _) => self.whole(bytes) as u64 as f64,
            _ => self.whole(bytes) as f64,
        }
    }

    /// Appends a number; whole numbers lose what is behind the point, as in NumPy.
    fn push(self, value: f64, to: &mut Vec<u8>) {
        match (self.kind, self.n_bytes) {
            ('f', 4) => to.extend((value as f32).to_le_bytes()),
            ('f', _) => to.extend(value.to_le_bytes()),
            ('u', n) => to.extend(&(value as u64).to_le_bytes()[..n]),
            (_, n) => to.extend(&(value as i64).to_le_bytes()[..n]),
        }
    }
}

/// What a filter does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    /// Each value is the difference from the one before.
    Delta,
    /// A value is `stored / scale + offset`.
    Scaled { offset: f64, scale: f64 },
}

/// A filter: `dtype` is what the array holds, `astype` what is stored.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    name: &'static str,
    fields: Configuration,
    change: Change,
    dtype: Numeric,
    astype: Numeric,
}

impl Filter {
    /// Whether a codec of this name is one of them.
    pub(super) fn is_known(name: &str) -> bool {
        Self::known(name).is_some()
    }

    fn known(name: &str) -> Option<&'static str> {
        let name = name.strip_prefix("numcodecs.").unwrap_or(name);
        ["delta", "fixedscaleoffset", "quantize"].into_iter().find(|known| *known == name)
    }

    /// Whether the values that it takes are in the other byte order than those of the array: bytes would be taken for others.
    pub(super) fn is_swapped(
        fields: &serde_json::Map<String, serde_json::Value>,
        is_big_endian: bool,
    ) -> bool {
        let dtype = fields.get("dtype").and_then(serde_json::Value::as_str).and_then(Numeric::parse);
        dtype.is_some_and(|dtype| dtype.n_bytes > 1 && dtype.is_big_endian != is_big_endian)
    }

    /// The type that the stored values have, as the configuration of a filter says.
    pub(super) fn stored_type(fields: &serde_json::Map<String, serde_json::Value>) -> Option<Numeric> {
        let named = |key: &str| fields.get(key).and_then(serde_json::Value::as_str);
        named("astype").or_else(|| named("dtype")).and_then(Numeric::parse)
    }

    /// A filter from its configuration.
    pub(super) fn create(name: &str, fields: Configuration) -> Result<Self, PluginCreateError> {
        let wrong = |what: &str| PluginCreateError::Other(format!("the filter {name} has no usable {what}"));
        let number = |key: &str| fields.get(key).and_then(serde_json::Value::as_f64);
        let name = Self::known(name).ok_or_else(|| wrong("name"))?;
        let dtype = fields.get("dtype").and_then(serde_json::Value::as_str).and_then(Numeric::parse);
        let dtype = dtype.ok_or_else(|| wrong("dtype"))?;
        let astype = Self::stored_type(&fields).ok_or_else(|| wrong("astype"))?;
        let change = if name == "delta" {
            if (dtype.kind == 'f') != (astype.kind == 'f') {
                return Err(wrong("astype"));
            }
            Change::Delta
        } else if name == "quantize" {
            // What was rounded stays so.
            Change::Scaled { offset: 0.0, scale: 1.0 }
        } else {
            let scale = number("scale").filter(|scale| *scale != 0.0).ok_or_else(|| wrong("scale"))?;
            Change::Scaled { offset: number("offset").ok_or_else(|| wrong("offset"))?, scale }
        };
        Ok(Self { name, fields, change, dtype, astype })
    }

    fn unfiltered(&self, stored: &[u8]) -> Vec<u8> {
        let n = self.astype.n_bytes;
        let mut out = Vec::with_capacity(stored.len() / n * self.dtype.n_bytes);
        // Whole numbers wrap, floats add up in their own type, as in NumPy.
        let (mut sum, mut whole) = (0.0f64, 0i64);
        for value in stored.chunks_exact(n) {
            match self.change {
                Change::Delta if self.dtype.kind == 'f' => {
                    // What is added is brought into the type of the sum first.
                    let step = self.astype.number(value);
                    sum = if self.dtype.n_bytes == 4 {
                        f64::from(sum as f32 + step as f32)
                    } else {
                        sum + step
                    };
                    self.dtype.push(sum, &mut out);
                }
                Change::Delta => {
                    whole = whole.wrapping_add(self.astype.whole(value));
                    out.extend(&whole.to_le_bytes()[..self.dtype.n_bytes]);
                }
                Change::Scaled { offset, scale } => {
                    let stored = self.astype.number(value);
                    let value = if self.astype.kind == 'f' && n == 4 {
                        f64::from(stored as f32 / scale as f32 + offset as f32)
                    } else {
                        stored / scale + offset
                    };
                    self.dtype.push(value, &mut out);
                }
            }
        }
        out
    }
}

/// Reads parts of filtered chunks: a value may depend on all before it, so a chunk is always decoded whole.
struct Whole {
    input: Arc<dyn ArrayPartialDecoderTraits>,
    filter: Arc<Filter>,
    shape: Vec<NonZeroU64>,
    data_type: DataType,
    fill_value: FillValue,
}

impl ArrayPartialDecoderTraits for Whole {
    fn data_type(&self) -> &DataType {
        &self.data_type
    }

    fn exists(&self) -> Result<bool, StorageError> {
        self.input.exists()
    }

    fn size_held(&self) -> usize {
        self.input.size_held()
    }

    fn partial_decode(
        &self,
        indexer: &dyn Indexer,
        options: &CodecOptions,
    ) -> Result<ArrayBytes<'_>, CodecError> {
        if !self.exists()? {
            return Ok(ArrayBytes::new_fill_value(&self.data_type, indexer.len(), &self.fill_value)?);
        }
        let sides: Vec<u64> = self.shape.iter().map(|side| side.get()).collect();
        let stored = self.input.partial_decode(&ArraySubset::new_with_shape(sides.clone()), options)?;
        let values = self.filter.decode(stored, &self.shape, &self.data_type, &self.fill_value, options)?;
        Ok(values.extract_array_subset(indexer, &sides, &self.data_type)?.into_owned())
    }

    fn supports_partial_decode(&self) -> bool {
        false
    }
}

impl ExtensionName for Filter {
    fn name(&self, _version: ZarrVersion) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(self.name))
    }
}

impl CodecTraits for Filter {
    fn as_any(&self) -> &dyn std::any::Any {
        self
    }

    fn configuration(&self, _version: ZarrVersion, _options: &CodecMetadataOptions) -> Option<Configuration> {
        Some(self.fields.clone())
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        // [`Whole`] sees to it. A filter that said no would be given a store of its values before or behind it, of
        // the shape or type on its other side.
        PartialDecoderCapability { partial_read: true, partial_decode: true }
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        PartialEncoderCapability { partial_encode: false }
    }
}

impl ArrayCodecTraits for Filter {
    fn recommended_concurrency(
        &self,
        _shape: &[NonZeroU64],
        _data_type: &DataType,
    ) -> Result<RecommendedConcurrency, CodecError> {
        Ok(RecommendedConcurrency::new_maximum(1))
    }
}

impl ArrayToArrayCodecTraits for Filter {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn ArrayToArrayCodecTraits> {
        self
    }

    fn encoded_data_type(&self, decoded_data_type: &DataType) -> Result<DataType, CodecError> {
        if *decoded_data_type != self.dtype.data_type() {
            let name = self.name.to_owned();
            return Err(CodecError::UnsupportedDataType(decoded_data_type.clone(), name));
        }
        Ok(self.astype.data_type())
    }

    fn encoded_fill_value(&self, _: &DataType, _: &FillValue) -> Result<FillValue, CodecError> {
        // Chunks that are missing are filled before filters are asked.
        Ok(FillValue::new(vec![0; self.astype.n_bytes]))
    }

    fn partial_decoder(
        self: Arc<Self>,
        input_handle: Arc<dyn ArrayPartialDecoderTraits>,
        shape: &[NonZeroU64],
        data_type: &DataType,
        fill_value: &FillValue,
        _options: &CodecOptions,
    ) -> Result<Arc<dyn ArrayPartialDecoderTraits>, CodecError> {
        Ok(Arc::new(Whole {
            input: input_handle,
            filter: self,
            shape: shape.to_vec(),
            data_type: data_type.clone(),
            fill_value: fill_value.clone(),
        }))
    }

    fn encode<'a>(
        &self,
        _bytes: ArrayBytes<'a>,
        _shape: &[NonZeroU64],
        _data_type: &DataType,
        _fill_value: &FillValue,
        _options: &CodecOptions,
    ) -> Result<ArrayBytes<'a>, CodecError> {
        Err(CodecError::Other(format!("the filter {} is read, not written", self.name)))
    }

    fn decode<'a>(
        &self,
        bytes: ArrayBytes<'a>,
        _shape: &[NonZeroU64],
        _data_type: &DataType,
        _fill_value: &FillValue,
        _options: &CodecOptions,
    ) -> Result<ArrayBytes<'a>, CodecError> {
        if cfg!(target_endian = "big") {
            return Err(CodecError::Other("filters are read on little-endian machines only".to_owned()));
        }
        Ok(ArrayBytes::new_flen(self.unfiltered(&bytes.into_fixed()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(name: &str, fields: serde_json::Value) -> Filter {
        Filter::create(name, serde_json::from_value(fields).unwrap()).unwrap()
    }

    #[test]
    fn differences_add_up_and_wrap() {
        let bytes: Vec<u8> = [100i8, 27, 27, -3].iter().flat_map(|v| v.to_le_bytes()).collect();
        let wide = filter("numcodecs.delta", serde_json::json!({"dtype": "<i2", "astype": "|i1"}));
        let values: Vec<i16> =
            wide.unfiltered(&bytes).chunks_exact(2).map(|v| i16::from_le_bytes([v[0], v[1]])).collect();
        assert_eq!(values, [100, 127, 154, 151]);
        let narrow = filter("delta", serde_json::json!({"dtype": "|u1"}));
        assert_eq!(narrow.unfiltered(&[250, 10, 1]), [250, 4, 5]);
        // Stored doubles are rounded before they are added in single precision, as numcodecs does.
        let single = filter("delta", serde_json::json!({"dtype": "<f4", "astype": "<f8"}));
        let steps = [16_777_216.0f64, 1.000_000_01];
        let bytes: Vec<u8> = steps.iter().flat_map(|v| v.to_le_bytes()).collect();
        let last: [u8; 4] = single.unfiltered(&bytes)[4..].try_into().unwrap();
        assert_eq!(f32::from_le_bytes(last), 16_777_216.0f32 + 1.000_000_01f64 as f32);
    }

    #[test]
    fn scaled_values_come_back() {
        let fields = serde_json::json!({"dtype": "<f8", "astype": "|u1", "offset": 1000, "scale": 10});
        let values: Vec<f64> = filter("fixedscaleoffset", fields)
            .unfiltered(&[0, 6, 255])
            .chunks_exact(8)
            .map(|v| f64::from_le_bytes(v.try_into().unwrap()))
            .collect();
        assert_eq!(values, [1000.0, 1000.6, 1025.5]);
    }

    #[test]
    fn names_of_types_are_understood() {
        let parse = |name| Numeric::parse(name).map(|n| (n.kind, n.n_bytes, n.is_big_endian));
        assert_eq!(parse(">i2"), Some(('i', 2, true)));
        assert_eq!(parse("|u1"), Some(('u', 1, false)));
        assert_eq!(parse("float32"), Some(('f', 4, false)));
        assert_eq!(parse("<U4"), None);
        assert_eq!(parse("é"), None);
    }
}
