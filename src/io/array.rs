//! Typed views and bytes: arrays go to and come from files in their own type.

use ndarray::{Array3, ArrayView3, Axis, Slice};

use crate::volume::AnyArray;
use crate::volume::any::{Stats, Voxel};
use crate::with_array;

/// A view (z, y, x) of an array of one of the types that files hold: what a writer gets, without a copy.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the variants are their types")]
pub enum ArrayRef<'a> {
    U8(ArrayView3<'a, u8>),
    I8(ArrayView3<'a, i8>),
    U16(ArrayView3<'a, u16>),
    I16(ArrayView3<'a, i16>),
    U32(ArrayView3<'a, u32>),
    I32(ArrayView3<'a, i32>),
    F32(ArrayView3<'a, f32>),
    F64(ArrayView3<'a, f64>),
}

/// Runs `$body` with `$view` bound to the typed view of the [`ArrayRef`] `$any`.
macro_rules! with_view {
    ($any:expr, $view:ident => $body:expr) => {
        match $any {
            $crate::io::ArrayRef::U8($view) => $body,
            $crate::io::ArrayRef::I8($view) => $body,
            $crate::io::ArrayRef::U16($view) => $body,
            $crate::io::ArrayRef::I16($view) => $body,
            $crate::io::ArrayRef::U32($view) => $body,
            $crate::io::ArrayRef::I32($view) => $body,
            $crate::io::ArrayRef::F32($view) => $body,
            $crate::io::ArrayRef::F64($view) => $body,
        }
    };
}
pub(crate) use with_view;

/// The types of voxels that files hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are their types")]
pub enum Dtype {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    F64,
}

/// Runs `$body` with the type alias `$T` set to the type that a [`Dtype`] names.
macro_rules! with_dtype {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::io::Dtype::U8 => {
                type $T = u8;
                $body
            }
            $crate::io::Dtype::I8 => {
                type $T = i8;
                $body
            }
            $crate::io::Dtype::U16 => {
                type $T = u16;
                $body
            }
            $crate::io::Dtype::I16 => {
                type $T = i16;
                $body
            }
            $crate::io::Dtype::U32 => {
                type $T = u32;
                $body
            }
            $crate::io::Dtype::I32 => {
                type $T = i32;
                $body
            }
            $crate::io::Dtype::F32 => {
                type $T = f32;
                $body
            }
            $crate::io::Dtype::F64 => {
                type $T = f64;
                $body
            }
        }
    };
}
pub(crate) use with_dtype;

/// All types, in the order of the enum.
const DTYPES: [Dtype; 8] =
    [Dtype::U8, Dtype::I8, Dtype::U16, Dtype::I16, Dtype::U32, Dtype::I32, Dtype::F32, Dtype::F64];

impl Dtype {
    /// The type's name as NumPy spells it.
    pub fn name(self) -> &'static str {
        with_dtype!(self, T => T::DTYPE)
    }

    /// The inverse of [`Dtype::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        DTYPES.into_iter().find(|dtype| dtype.name() == name)
    }

    /// Bytes of one value.
    pub fn n_bytes(self) -> usize {
        with_dtype!(self, T => size_of::<T>())
    }

    /// Whether the values are whole numbers.
    pub fn is_integer(self) -> bool {
        !matches!(self, Self::F32 | Self::F64)
    }
}

/// A [`Voxel`] that can be swapped between byte orders and viewed as an [`ArrayRef`].
pub trait FileVoxel: Voxel {
    /// The type as a value.
    const KIND: Dtype;
    /// The value with its bytes in reverse order.
    #[must_use]
    fn byte_swapped(self) -> Self;
    /// The nearest value of this type; whole numbers are rounded half away from 0, and clamped to their range.
    #[must_use]
    fn from_f64(value: f64) -> Self;
    /// Wraps a view.
    fn wrap_view(view: ArrayView3<'_, Self>) -> ArrayRef<'_>;
}

macro_rules! file_voxel {
    ($($type:ty, $variant:ident, $value:ident => $nearest:expr;)*) => {$(
        impl FileVoxel for $type {
            const KIND: Dtype = Dtype::$variant;
            fn byte_swapped(self) -> Self {
                let mut bytes = self.to_ne_bytes();
                bytes.reverse();
                Self::from_ne_bytes(bytes)
            }
            #[expect(clippy::allow_attributes, reason = "some expansions cast, some do not")]
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "float to whole casts clamp; rounding f64 to f32 is meant"
            )]
            fn from_f64($value: f64) -> Self { $nearest }
            fn wrap_view(view: ArrayView3<'_, Self>) -> ArrayRef<'_> { ArrayRef::$variant(view) }
        }
    )*};
}
file_voxel! {
    u8, U8, v => v.round() as u8;
    i8, I8, v => v.round() as i8;
    u16, U16, v => v.round() as u16;
    i16, I16, v => v.round() as i16;
    u32, U32, v => v.round() as u32;
    i32, I32, v => v.round() as i32;
    f32, F32, v => v as f32;
    f64, F64, v => v;
}

impl<'a, T: FileVoxel> From<&'a Array3<T>> for ArrayRef<'a> {
    fn from(array: &'a Array3<T>) -> Self {
        T::wrap_view(array.view())
    }
}

impl<'a> From<&'a AnyArray> for ArrayRef<'a> {
    fn from(array: &'a AnyArray) -> Self {
        with_array!(array, array => array.into())
    }
}

impl ArrayRef<'_> {
    /// Shape as z, y, x.
    pub fn shape(&self) -> [usize; 3] {
        let (z, y, x) = with_view!(self, view => view.dim());
        [z, y, x]
    }

    /// The type of the values.
    pub fn dtype(&self) -> Dtype {
        fn kind<T: FileVoxel>(_: &ArrayView3<'_, T>) -> Dtype {
            T::KIND
        }
        with_view!(self, view => kind(view))
    }

    /// An owned copy.
    pub fn to_owned_array(&self) -> AnyArray {
        with_view!(self, view => Voxel::wrap(view.to_owned()))
    }

    /// Range and mean of the finite values; `None` where there is none.
    pub(crate) fn stats(&self) -> Option<Stats> {
        with_view!(self, view => {
            let mut running = RunningStats::default();
            view.axis_iter(Axis(0)).for_each(|plane| plane.iter().for_each(|v| running.add(v.to_f64())));
            running.finish()
        })
    }

    /// The values of planes `from..to` (along z), x fastest, as little-endian bytes.
    pub(crate) fn plane_bytes(&self, from: usize, to: usize) -> Vec<u8> {
        let slice = Slice::from(from..to);
        with_view!(self, view => le_bytes(&view.slice_axis(Axis(0), slice)))
    }
}

/// The values of a view, x fastest, as little-endian bytes.
pub(crate) fn le_bytes<T: FileVoxel>(view: &ArrayView3<'_, T>) -> Vec<u8> {
    let whole = view.as_standard_layout();
    let values = whole.as_slice().unwrap_or(&[]);
    if cfg!(target_endian = "little") {
        return bytemuck::cast_slice(values).to_vec();
    }
    values.iter().flat_map(|v| bytemuck::bytes_of(&v.byte_swapped()).to_vec()).collect()
}

/// Values from bytes in the given order; a last incomplete value is left out.
pub(crate) fn values_from<T: FileVoxel>(bytes: &[u8], big_endian: bool) -> Vec<T> {
    let swap = big_endian != cfg!(target_endian = "big");
    let whole = bytes.len() / size_of::<T>() * size_of::<T>();
    if !swap {
        return bytemuck::pod_collect_to_vec(&bytes[..whole]);
    }
    bytes
        .chunks_exact(size_of::<T>())
        .map(|bytes| bytemuck::pod_read_unaligned::<T>(bytes).byte_swapped())
        .collect()
}

/// An array of `dtype` and `shape` from bytes in the given order; `None` where their number is wrong.
pub(crate) fn array_from_bytes(
    dtype: Dtype,
    shape: [usize; 3],
    bytes: &[u8],
    big_endian: bool,
) -> Option<AnyArray> {
    with_dtype!(dtype, T => Array3::from_shape_vec(shape, values_from::<T>(bytes, big_endian)).ok().map(T::wrap))
}

/// Zeros of this type and shape.
pub(crate) fn zeros(dtype: Dtype, shape: [usize; 3]) -> AnyArray {
    with_dtype!(dtype, T => T::wrap(Array3::<T>::zeros(shape)))
}

/// Copies `planes` into `whole` from plane `at` on; false where types or shapes differ.
pub(crate) fn put_planes(whole: &mut AnyArray, at: usize, planes: &AnyArray) -> bool {
    fn put<T: Voxel>(whole: &mut Array3<T>, at: usize, planes: &Array3<T>) -> bool {
        let end = at + planes.dim().0;
        if end > whole.dim().0 || whole.dim().1 != planes.dim().1 || whole.dim().2 != planes.dim().2 {
            return false;
        }
        whole.slice_axis_mut(Axis(0), Slice::from(at..end)).assign(planes);
        true
    }
    match (whole, planes) {
        (AnyArray::U8(a), AnyArray::U8(b)) => put(a, at, b),
        (AnyArray::I8(a), AnyArray::I8(b)) => put(a, at, b),
        (AnyArray::U16(a), AnyArray::U16(b)) => put(a, at, b),
        (AnyArray::I16(a), AnyArray::I16(b)) => put(a, at, b),
        (AnyArray::U32(a), AnyArray::U32(b)) => put(a, at, b),
        (AnyArray::I32(a), AnyArray::I32(b)) => put(a, at, b),
        (AnyArray::F32(a), AnyArray::F32(b)) => put(a, at, b),
        (AnyArray::F64(a), AnyArray::F64(b)) => put(a, at, b),
        _ => false,
    }
}

/// Range and mean of values that pass by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RunningStats {
    min: f64,
    max: f64,
    sum: f64,
    n: u64,
    n_non_finite: u64,
}

impl Default for RunningStats {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0.0, n: 0, n_non_finite: 0 }
    }
}

impl RunningStats {
    /// Counts one value in.
    pub(crate) fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            self.sum += value;
            self.n += 1;
        } else {
            self.n_non_finite += 1;
        }
    }

    /// What was seen; `None` where no value was finite.
    pub(crate) fn finish(self) -> Option<Stats> {
        (self.n > 0).then(|| Stats {
            min: self.min,
            max: self.max,
            mean: self.sum / self.n as f64,
            n_non_finite: self.n_non_finite,
        })
    }
}
