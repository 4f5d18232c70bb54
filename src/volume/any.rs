//! An array of whatever type a file holds, so that nothing takes a detour through f32.

use ndarray::{Array3, ArrayView3};

/// A 3-D array (z, y, x) of one of the types that files hold.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are their types")]
pub enum AnyArray {
    U8(Array3<u8>),
    I8(Array3<i8>),
    U16(Array3<u16>),
    I16(Array3<i16>),
    U32(Array3<u32>),
    I32(Array3<i32>),
    F32(Array3<f32>),
    F64(Array3<f64>),
}

/// Runs `$body` with `$array` bound to the typed array of `$any`.
#[macro_export]
macro_rules! with_array {
    ($any:expr, $array:ident => $body:expr) => {
        match $any {
            $crate::volume::AnyArray::U8($array) => $body,
            $crate::volume::AnyArray::I8($array) => $body,
            $crate::volume::AnyArray::U16($array) => $body,
            $crate::volume::AnyArray::I16($array) => $body,
            $crate::volume::AnyArray::U32($array) => $body,
            $crate::volume::AnyArray::I32($array) => $body,
            $crate::volume::AnyArray::F32($array) => $body,
            $crate::volume::AnyArray::F64($array) => $body,
        }
    };
}

/// A voxel type that can be an [`AnyArray`] and be read as f64.
pub trait Voxel: Copy + Send + Sync + PartialOrd + bytemuck::Pod + 'static {
    /// The type's name as NumPy spells it.
    const DTYPE: &'static str;
    /// The value as f64; exact for all but large 64-bit integers, which no variant holds.
    fn to_f64(self) -> f64;
    /// The value as f32, rounded.
    fn to_f32(self) -> f32;
    /// Wraps an array of this type.
    fn wrap(array: Array3<Self>) -> AnyArray;
    /// The array within, where it is of this type.
    fn unwrap(any: AnyArray) -> Option<Array3<Self>>;
}

macro_rules! voxel {
    ($($type:ty, $variant:ident, $name:literal;)*) => {$(
        impl Voxel for $type {
            const DTYPE: &'static str = $name;
            #[expect(clippy::allow_attributes, reason = "some expansions cast, some do not")]
            #[allow(clippy::cast_lossless, clippy::unnecessary_cast, reason = "one body for all types")]
            fn to_f64(self) -> f64 { self as f64 }
            #[expect(clippy::allow_attributes, reason = "some expansions cast, some do not")]
            #[allow(clippy::cast_lossless, clippy::unnecessary_cast, reason = "one body for all types")]
            fn to_f32(self) -> f32 { self as f32 }
            fn wrap(array: Array3<Self>) -> AnyArray { AnyArray::$variant(array) }
            fn unwrap(any: AnyArray) -> Option<Array3<Self>> {
                if let AnyArray::$variant(array) = any { Some(array) } else { None }
            }
        }
    )*};
}
voxel! {
    u8, U8, "uint8"; i8, I8, "int8"; u16, U16, "uint16"; i16, I16, "int16";
    u32, U32, "uint32"; i32, I32, "int32"; f32, F32, "float32"; f64, F64, "float64";
}

/// Range and mean of an array's finite values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stats {
    /// Smallest finite value.
    pub min: f64,
    /// Largest finite value.
    pub max: f64,
    /// Mean of the finite values, summed in f64.
    pub mean: f64,
    /// How many values are NaN or infinite.
    pub n_non_finite: u64,
}

fn stats_of<T: Voxel>(array: &ArrayView3<'_, T>) -> Option<Stats> {
    let (mut min, mut max, mut sum, mut n) = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0u64);
    for value in array {
        let value = value.to_f64();
        if value.is_finite() {
            min = min.min(value);
            max = max.max(value);
            sum += value;
            n += 1;
        }
    }
    (n > 0).then(|| Stats { min, max, mean: sum / n as f64, n_non_finite: array.len() as u64 - n })
}

impl AnyArray {
    /// Shape as z, y, x.
    pub fn shape(&self) -> [usize; 3] {
        let (z, y, x) = with_array!(self, array => array.dim());
        [z, y, x]
    }

    /// The type's name as NumPy spells it ("uint16").
    pub fn dtype(&self) -> &'static str {
        fn name<T: Voxel>(_: &Array3<T>) -> &'static str {
            T::DTYPE
        }
        with_array!(self, array => name(array))
    }

    /// Values as f32, rounded where f32 cannot hold them.
    pub fn to_f32(&self) -> Array3<f32> {
        if let Self::F32(array) = self {
            return array.clone();
        }
        with_array!(self, array => array.mapv(Voxel::to_f32))
    }

    /// As [`AnyArray::to_f32`], without a copy where the values are f32 already.
    pub fn into_f32(self) -> Array3<f32> {
        if let Self::F32(array) = self { array } else { self.to_f32() }
    }

    /// Values as class ids, if every one is a whole number from 0 to 65 535.
    pub fn to_label_ids(&self) -> Option<Array3<u16>> {
        if let Self::U16(array) = self {
            return Some(array.clone());
        }
        let fits = |v: f64| v >= 0.0 && v <= f64::from(u16::MAX) && v.fract() == 0.0;
        with_array!(self, array => array
            .iter()
            .all(|v| fits(v.to_f64()))
            .then(|| array.mapv(|v| v.to_f64() as u16)))
    }

    /// Values as ids of classes, or of objects where one is above 65 535; also how many voxels were −1, which stands for
    /// "ignore" in label files with a sign and becomes 0.
    ///
    /// # Errors
    /// [`NotAnId`] where a value is no whole number from 0 to 4 294 967 295.
    pub fn into_ids(self) -> Result<(Ids, u64), NotAnId> {
        if let Self::U16(array) = self {
            return Ok((Ids::Classes(array), 0));
        }
        let (most, ignored) = self.check_ids()?;
        // A cast of a value below 0 to one without sign gives 0.
        Ok(with_array!(self, array => if u16::try_from(most).is_ok() {
            (Ids::Classes(array.mapv(|v| v.to_f64() as u16)), ignored)
        } else {
            (Ids::Regions(array.mapv(|v| v.to_f64() as u32)), ignored)
        }))
    }

    /// Whether all values are ids or −1: the highest, and how many are −1.
    ///
    /// # Errors
    /// [`NotAnId`] for the first that is neither.
    pub fn check_ids(&self) -> Result<(u32, u64), NotAnId> {
        with_array!(self, array => check_ids(array))
    }

    /// Range and mean; `None` where no value is finite.
    pub fn stats(&self) -> Option<Stats> {
        with_array!(self, array => stats_of(&array.view()))
    }
}

/// Ids of classes, or of objects.
#[derive(Debug, Clone, PartialEq)]
pub enum Ids {
    /// No id is above 65 535.
    Classes(Array3<u16>),
    /// Some are.
    Regions(Array3<u32>),
}

/// A value that is no id.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "not a label volume: voxel (z, y, x) = ({}, {}, {}) is {value}, labels are whole numbers from 0 to 4294967295 (and -1 for what is to be ignored)",
    zyx[0], zyx[1], zyx[2]
)]
pub struct NotAnId {
    /// The value.
    pub value: f64,
    /// The first voxel that has such a value.
    pub zyx: [usize; 3],
}

fn check_ids<T: Voxel>(array: &Array3<T>) -> Result<(u32, u64), NotAnId> {
    let (mut most, mut ignored) = (0.0f64, 0);
    for ((z, y, x), value) in array.indexed_iter() {
        let value = value.to_f64();
        if value == -1.0 {
            ignored += 1;
        } else if value >= 0.0 && value <= f64::from(u32::MAX) && value.fract() == 0.0 {
            most = most.max(value);
        } else {
            return Err(NotAnId { value, zyx: [z, y, x] });
        }
    }
    Ok((most as u32, ignored))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_taken_only_where_every_value_is_an_id() {
        let good = AnyArray::F32(Array3::from_elem((1, 1, 2), 7.0));
        assert_eq!(good.to_label_ids().map(|a| a[[0, 0, 1]]), Some(7));
        assert_eq!(AnyArray::I16(Array3::from_elem((1, 1, 1), -1)).to_label_ids(), None);
        assert_eq!(AnyArray::F32(Array3::from_elem((1, 1, 1), 0.5)).to_label_ids(), None);
    }

    #[test]
    fn ids_above_65535_are_regions_and_minus_one_is_ignored() {
        let of = |values: [f64; 3]| AnyArray::F64(Array3::from_shape_vec((1, 1, 3), values.into()).unwrap());
        let classes = Array3::from_shape_vec((1, 1, 3), vec![0u16, 3, 65_535]).unwrap();
        assert_eq!(of([-1.0, 3.0, 65_535.0]).into_ids(), Ok((Ids::Classes(classes), 1)));
        let regions = Array3::from_shape_vec((1, 1, 3), vec![0u32, 65_536, u32::MAX]).unwrap();
        assert_eq!(of([-1.0, 65_536.0, 4_294_967_295.0]).into_ids(), Ok((Ids::Regions(regions), 1)));
        for value in [0.5, -2.0, 4_294_967_296.0, f64::NAN, f64::INFINITY] {
            let error = of([0.0, value, 1.0]).into_ids().unwrap_err();
            assert_eq!(error.zyx, [0, 0, 1]);
            assert!(error.to_string().contains(&format!("{value}")), "{error}");
        }
        let signed = AnyArray::I8(Array3::from_elem((1, 1, 2), -1));
        assert_eq!(signed.into_ids(), Ok((Ids::Classes(Array3::zeros((1, 1, 2))), 2)));
    }

    #[test]
    fn stats_leave_out_what_is_not_finite() {
        let array = Array3::from_shape_vec((1, 1, 3), vec![1.0f32, f32::NAN, 3.0]).unwrap();
        let stats = AnyArray::F32(array).stats().unwrap();
        assert_eq!((stats.min, stats.max, stats.mean, stats.n_non_finite), (1.0, 3.0, 2.0, 1));
        assert_eq!(AnyArray::F32(Array3::from_elem((1, 1, 1), f32::NAN)).stats(), None);
    }
}
