//! Typed views and bytes: arrays go to and come from files in their own type.

use std::io::{self, Write};
use std::ops::Range;

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayViewMut3, Axis, Slice};
use rayon::prelude::*;

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

/// The nearest whole number, half away from 0, beyond 32 bits near enough to be clamped; without a call of the system's
/// library, as a processor without SSE 4.1 needs.
#[expect(clippy::cast_possible_truncation, reason = "what is beyond 64 bits is clamped")]
fn rounded(value: f64) -> f64 {
    let whole = (value as i64) as f64;
    let rest = value - whole;
    whole + f64::from(i8::from(rest >= 0.5) - i8::from(rest <= -0.5))
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
    u8, U8, v => rounded(v) as u8;
    i8, I8, v => rounded(v) as i8;
    u16, U16, v => rounded(v) as u16;
    i16, I16, v => rounded(v) as i16;
    u32, U32, v => rounded(v) as u32;
    i32, I32, v => rounded(v) as i32;
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
        let mut spread = Spread::default();
        spread.add(self);
        spread.stats()
    }

    /// Planes along z, without a copy.
    pub(crate) fn planes(&self, planes: Range<usize>) -> ArrayRef<'_> {
        with_view!(self, view => FileVoxel::wrap_view(view.slice_axis(Axis(0), Slice::from(planes))))
    }

    /// Planes that are written between two looks at the cancel flag.
    pub(crate) fn planes_a_slab(&self) -> usize {
        let [_, rows, cols] = self.shape();
        (SLAB_BYTES / (rows * cols * self.dtype().n_bytes()).max(1)).max(1)
    }
}

/// About how many bytes are written at once: they stay in the cache of a core.
const SLAB_BYTES: usize = 4 << 20;

/// Writes the values of a view, x fastest, as little-endian bytes; without a copy where they lie so in memory.
pub(crate) fn write_values(planes: &ArrayRef<'_>, out: &mut impl Write) -> io::Result<()> {
    with_view!(planes, view => match view.as_slice() {
        Some(values) if cfg!(target_endian = "little") => out.write_all(bytemuck::cast_slice(values)),
        _ => out.write_all(&le_bytes(view)),
    })
}

/// The memory of some planes of an array; `None` where they do not lie one after the other.
pub(crate) fn bytes_mut(array: &mut AnyArray, planes: Range<usize>) -> Option<&mut [u8]> {
    with_array!(array, array => {
        let (_, rows, cols) = array.dim();
        let plane = rows.checked_mul(cols)?;
        let values = array.as_slice_mut()?.get_mut(planes.start.checked_mul(plane)?..planes.end.checked_mul(plane)?)?;
        Some(bytemuck::cast_slice_mut(values))
    })
}

/// Cuts a view along an axis where `side` divides the place of its voxels, `at` being that of the first.
pub(crate) fn cut<T>(
    at: [usize; 3],
    view: ArrayViewMut3<'_, T>,
    axis: usize,
    side: usize,
) -> Vec<([usize; 3], ArrayViewMut3<'_, T>)> {
    let (mut pieces, mut at, mut rest) = (Vec::new(), at, view);
    while rest.len_of(Axis(axis)) > 0 {
        let n = rest.len_of(Axis(axis)).min(side - at[axis] % side);
        let (head, tail) = rest.split_at(Axis(axis), n);
        pieces.push((at, head));
        (at[axis], rest) = (at[axis] + n, tail);
    }
    pieces
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

/// Range, mean and deviation of values that pass by in planes; non-finite ones are counted and left out.
///
/// Planes are looked at in parallel and put together in their order, so that the numbers do not depend on the threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    min: f64,
    max: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    n: u64,
    n_non_finite: u64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { min: f64::INFINITY, max: f64::NEG_INFINITY, mean: 0.0, squares: 0.0, n: 0, n_non_finite: 0 }
    }
}

impl Spread {
    /// Counts planes in.
    pub(crate) fn add(&mut self, planes: &ArrayRef<'_>) {
        let parts: Vec<Self> = with_view!(planes, view => {
            (0..view.dim().0).into_par_iter().map(|z| Self::of_plane(&view.index_axis(Axis(0), z))).collect()
        });
        parts.iter().for_each(|part| self.join(part));
    }

    /// What was seen; `None` where no value was finite.
    pub(crate) fn stats(&self) -> Option<Stats> {
        (self.n > 0).then_some(Stats {
            min: self.min,
            max: self.max,
            mean: self.mean,
            n_non_finite: self.n_non_finite,
        })
    }

    /// Smallest, largest, mean value and deviation from the mean as MRC has them: where a value is not finite they count
    /// as not determined, which a maximum below the minimum says.
    pub(crate) fn statistics(&self) -> [f64; 4] {
        if self.n == 0 || self.n_non_finite > 0 {
            return [0.0, -1.0, -2.0, -1.0];
        }
        [self.min, self.max, self.mean, (self.squares / self.n as f64).sqrt()]
    }

    fn of_plane<T: Voxel>(plane: &ArrayView2<'_, T>) -> Self {
        let mut lanes = Lanes::default();
        each_row(plane, |row| lanes.add(row));
        let mut part = lanes.finish();
        let mut squares = [0.0; LANES];
        each_row(plane, |row| add_squares(&mut squares, row, part.mean));
        part.squares = squares.iter().sum();
        part
    }

    fn join(&mut self, other: &Self) {
        self.n_non_finite += other.n_non_finite;
        if other.n == 0 {
            return;
        }
        let n = self.n + other.n;
        let (share, apart) = (other.n as f64 / n as f64, other.mean - self.mean);
        self.squares += other.squares + apart * apart * share * self.n as f64;
        self.mean += apart * share;
        (self.min, self.max, self.n) = (self.min.min(other.min), self.max.max(other.max), n);
    }
}

/// Values that are added up side by side.
const LANES: usize = 8;

/// Range and sum, side by side.
#[derive(Default)]
struct Lanes {
    min: [f64; LANES],
    max: [f64; LANES],
    sum: [f64; LANES],
    n: u64,
    n_non_finite: u64,
}

impl Lanes {
    fn add<T: Voxel>(&mut self, row: &[T]) {
        if self.n + self.n_non_finite == 0 {
            (self.min, self.max) = ([f64::INFINITY; LANES], [f64::NEG_INFINITY; LANES]);
        }
        let mut n_non_finite = [0u64; LANES];
        let mut lane = |k: usize, value: T| {
            let value = value.to_f64();
            let fine = value.is_finite();
            self.min[k] = self.min[k].min(if fine { value } else { f64::INFINITY });
            self.max[k] = self.max[k].max(if fine { value } else { f64::NEG_INFINITY });
            self.sum[k] += if fine { value } else { 0.0 };
            n_non_finite[k] += u64::from(!fine);
        };
        let chunks = row.chunks_exact(LANES);
        chunks.remainder().iter().enumerate().for_each(|(k, value)| lane(k, *value));
        for chunk in chunks {
            for (k, value) in chunk.iter().enumerate() {
                lane(k, *value);
            }
        }
        let odd: u64 = n_non_finite.iter().sum();
        self.n_non_finite += odd;
        self.n += row.len() as u64 - odd;
    }

    fn finish(self) -> Spread {
        if self.n == 0 {
            return Spread { n_non_finite: self.n_non_finite, ..Spread::default() };
        }
        Spread {
            min: self.min.into_iter().fold(f64::INFINITY, f64::min),
            max: self.max.into_iter().fold(f64::NEG_INFINITY, f64::max),
            mean: self.sum.iter().sum::<f64>() / self.n as f64,
            squares: 0.0,
            n: self.n,
            n_non_finite: self.n_non_finite,
        }
    }
}

fn add_squares<T: Voxel>(squares: &mut [f64; LANES], row: &[T], mean: f64) {
    let mut lane = |k: usize, value: T| {
        let value = value.to_f64();
        let apart = if value.is_finite() { value - mean } else { 0.0 };
        squares[k] += apart * apart;
    };
    let chunks = row.chunks_exact(LANES);
    chunks.remainder().iter().enumerate().for_each(|(k, value)| lane(k, *value));
    for chunk in chunks {
        for (k, value) in chunk.iter().enumerate() {
            lane(k, *value);
        }
    }
}

/// Visits the rows of a plane, all at once where they lie one after the other.
fn each_row<T: Voxel>(plane: &ArrayView2<'_, T>, mut visit: impl FnMut(&[T])) {
    if let Some(values) = plane.as_slice() {
        return visit(values);
    }
    for row in plane.rows() {
        match row.as_slice() {
            Some(values) => visit(values),
            None => visit(&row.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_of_planes_is_that_of_all_values() {
        let array = Array3::from_shape_fn((3, 5, 7), |(z, y, x)| (1000 + 31 * z + 7 * y + x) as f32);
        let mut spread = Spread::default();
        let whole = ArrayRef::from(&array);
        spread.add(&whole.planes(0..2));
        spread.add(&whole.planes(2..3));
        let values: Vec<f64> = array.iter().map(|v| f64::from(*v)).collect();
        let mean = values.iter().sum::<f64>() / 105.0;
        let rms = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 105.0).sqrt();
        let [min, max, found_mean, found_rms] = spread.statistics();
        assert_eq!((min, max), (1000.0, 1096.0));
        assert!(
            (found_mean - mean).abs() < 1e-9 && (found_rms - rms).abs() < 1e-9,
            "{found_mean} {found_rms}"
        );
        // A view whose rows do not lie one after the other has the same numbers.
        let turned = array.view().permuted_axes([2, 1, 0]);
        let mut again = Spread::default();
        again.add(&f32::wrap_view(turned));
        assert!((again.statistics()[3] - rms).abs() < 1e-9);
    }

    #[test]
    fn values_that_are_not_finite_are_counted_and_leave_the_range_undetermined() {
        let array = Array3::from_shape_vec((1, 1, 4), vec![1.0f32, f32::NAN, 3.0, f32::INFINITY]).unwrap();
        let mut spread = Spread::default();
        spread.add(&ArrayRef::from(&array));
        let stats = spread.stats().unwrap();
        assert_eq!((stats.min, stats.max, stats.mean, stats.n_non_finite), (1.0, 3.0, 2.0, 2));
        assert_eq!(spread.statistics(), [0.0, -1.0, -2.0, -1.0]);
        assert_eq!(Spread::default().stats(), None);
    }
}
