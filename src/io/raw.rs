//! Values that lie in a file as they are, uncompressed, section after section: the body of MRC and .npy.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;

use ndarray::Array3;

use super::array::{Dtype, FileVoxel, bytes_mut, put_planes, values_from, with_dtype, zeros};
use super::error::IoError;
use super::format::{Header, Source, rows_of};
use crate::volume::AnyArray;

/// How a value is stored, where this program may hold it in another type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// In a type that arrays have.
    Same(Dtype),
    /// Half floats, widened to f32, which holds each of them exactly.
    F16,
    /// 64-bit whole numbers, held as f64: exact up to 2^53.
    U64,
    /// The same, signed.
    I64,
    /// Two values of 0 to 15 in a byte, the left one in the low bits; every row begins with a byte of its own.
    Nibbles,
}

impl Stored {
    /// The type of a value once read.
    pub(crate) fn dtype(self) -> Dtype {
        match self {
            Self::Same(dtype) => dtype,
            Self::F16 => Dtype::F32,
            Self::U64 | Self::I64 => Dtype::F64,
            Self::Nibbles => Dtype::U8,
        }
    }

    /// Bytes of a row of `n` values; `None` beyond 64 bits.
    fn row_bytes(self, n: u64) -> Option<u64> {
        match self {
            Self::Same(dtype) => n.checked_mul(u64::try_from(dtype.n_bytes()).ok()?),
            Self::F16 => n.checked_mul(2),
            Self::U64 | Self::I64 => n.checked_mul(8),
            Self::Nibbles => Some(n / 2 + n % 2),
        }
    }
}

/// Where and how the values lie.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RawLayout {
    /// Byte at which the first section begins.
    pub(crate) offset: u64,
    /// How a value is stored.
    pub(crate) stored: Stored,
    /// Whether the first byte of a value is the highest.
    pub(crate) big_endian: bool,
    /// Planes of the array that is read.
    pub(crate) planes: usize,
    /// Rows of a section.
    pub(crate) rows: usize,
    /// Columns of a section.
    pub(crate) cols: usize,
    /// Values at each column (3 for colours, 2 for complex numbers).
    pub(crate) n_components: usize,
    /// Which of them is read.
    pub(crate) component: usize,
    /// The section that is plane 0.
    pub(crate) first: u64,
    /// Sections from one plane to the next.
    pub(crate) step: u64,
    /// Sections in the file, as it says.
    pub(crate) n_sections: u64,
}

impl RawLayout {
    /// A layout in which every section is a plane of single values.
    pub(crate) fn plain(offset: u64, stored: Stored, big_endian: bool, shape: [usize; 3]) -> Self {
        let [planes, rows, cols] = shape;
        Self {
            offset,
            stored,
            big_endian,
            planes,
            rows,
            cols,
            n_components: 1,
            component: 0,
            first: 0,
            step: 1,
            n_sections: planes as u64,
        }
    }

    /// Bytes of a section; `None` beyond 64 bits.
    pub(crate) fn section_bytes(&self) -> Option<u64> {
        let row = (self.cols as u64).checked_mul(self.n_components as u64)?;
        self.stored.row_bytes(row)?.checked_mul(self.rows as u64)
    }

    /// Cuts the planes to those that lie whole in a file of `length` bytes.
    ///
    /// Returns the planes that are missing, and a sentence where the file is shorter or longer than it says;
    /// an error where not one plane is there.
    pub(crate) fn fit(&mut self, length: u64) -> Result<(usize, Option<String>), String> {
        let section = self.section_bytes();
        let end = section.and_then(|n| n.checked_mul(self.n_sections)?.checked_add(self.offset));
        let (Some(section), Some(end)) = (section.filter(|n| *n > 0), end) else {
            return Err(format!(
                "truncated: {} sections of {} × {} values need more than 2^64 bytes, the file has {length}",
                self.n_sections, self.rows, self.cols
            ));
        };
        if length == end {
            return Ok((0, None));
        }
        if length > end {
            let more = length - end;
            return Ok((
                0,
                Some(format!("the file is {more} bytes longer than its header says; they were left out")),
            ));
        }
        let whole = length.saturating_sub(self.offset) / section;
        let planes = whole.saturating_sub(self.first).div_ceil(self.step.max(1));
        let planes = usize::try_from(planes).unwrap_or(self.planes).min(self.planes);
        if planes == 0 {
            return Err(format!(
                "truncated: {} sections of {} × {} values need {end} bytes, the file has {length} and not one whole plane; copy it again",
                self.n_sections, self.rows, self.cols
            ));
        }
        let (missing, n) = (self.planes - planes, self.planes);
        self.planes = planes;
        let said = (missing > 0).then(|| {
            format!(
                "the file ends early ({length} of {end} bytes: cut short, or still being written): the first {planes} of {n} planes were read, {missing} are missing"
            )
        });
        Ok((missing, said))
    }

    /// Whether the values lie in the file as in memory, but for the order of their bytes.
    fn is_direct(&self) -> bool {
        matches!(self.stored, Stored::Same(_)) && self.n_components == 1
    }
}

/// An open file with its layout.
pub(crate) struct RawFile {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) layout: RawLayout,
}

impl RawFile {
    /// Planes as an array.
    pub(crate) fn read(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        let layout = &self.layout;
        let mut array = zeros(layout.stored.dtype(), [planes.len(), layout.rows, layout.cols]);
        if layout.is_direct() {
            if let Some(bytes) = bytes_mut(&mut array, 0..planes.len()) {
                self.read_into(planes, bytes)?;
            }
            return Ok(array);
        }
        let mut section = vec![0; self.section_bytes()?];
        for (at, plane) in planes.enumerate() {
            self.read_at(plane, &mut section)?;
            let values = self.layout.values(&section);
            if !values.is_some_and(|values| put_planes(&mut array, at, &values)) {
                return Err(self.wrong_number());
            }
        }
        Ok(array)
    }

    /// Planes into the memory of an array of their type; false where the values lie in another form in the file.
    pub(crate) fn read_into(&mut self, planes: Range<usize>, into: &mut [u8]) -> Result<bool, IoError> {
        if !self.layout.is_direct() {
            return Ok(false);
        }
        let section = self.section_bytes()?;
        if section.checked_mul(planes.len()) != Some(into.len()) {
            return Err(self.wrong_number());
        }
        if self.layout.step == 1 {
            self.read_at(planes.start, into)?;
        } else {
            for (plane, bytes) in planes.zip(into.chunks_exact_mut(section.max(1))) {
                self.read_at(plane, bytes)?;
            }
        }
        self.swap(into);
        Ok(true)
    }

    /// Whether some rows of a plane can be read without the rest of it.
    pub(crate) fn reads_rows(&self) -> bool {
        self.layout.is_direct()
    }

    /// Some rows of planes, with all columns.
    pub(crate) fn read_rows(
        &mut self,
        planes: Range<usize>,
        rows: Range<usize>,
    ) -> Result<AnyArray, IoError> {
        let row = self.section_bytes()? / self.layout.rows.max(1);
        if rows.end > self.layout.rows || !self.reads_rows() {
            return Err(self.wrong_number());
        }
        let jump = row.checked_mul(rows.start).and_then(|n| i64::try_from(n).ok());
        let jump = jump.ok_or_else(|| self.wrong_number())?;
        let mut array = zeros(self.layout.stored.dtype(), [planes.len(), rows.len(), self.layout.cols]);
        for (at, plane) in planes.enumerate() {
            self.seek(plane)?;
            let Some(bytes) = bytes_mut(&mut array, at..at + 1) else { continue };
            let read = self.file.seek(SeekFrom::Current(jump)).and_then(|_| self.file.read_exact(bytes));
            read.map_err(|e| IoError::system("read", &self.path, e))?;
            self.swap(bytes);
        }
        Ok(array)
    }

    /// Brings values into the byte order of this machine.
    fn swap(&self, bytes: &mut [u8]) {
        let dtype = self.layout.stored.dtype();
        if self.layout.big_endian != cfg!(target_endian = "big") && dtype.n_bytes() > 1 {
            with_dtype!(dtype, T => bytes.chunks_exact_mut(size_of::<T>()).for_each(<[u8]>::reverse));
        }
    }

    fn section_bytes(&self) -> Result<usize, IoError> {
        self.layout.section_bytes().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| self.wrong_number())
    }

    fn seek(&mut self, plane: usize) -> Result<(), IoError> {
        let layout = &self.layout;
        let start = layout
            .step
            .checked_mul(plane as u64)
            .and_then(|section| section.checked_add(layout.first)?.checked_mul(layout.section_bytes()?))
            .and_then(|bytes| bytes.checked_add(layout.offset))
            .ok_or_else(|| self.wrong_number())?;
        let sought = self.file.seek(SeekFrom::Start(start));
        sought.map(drop).map_err(|e| IoError::system("read", &self.path, e))
    }

    fn read_at(&mut self, plane: usize, into: &mut [u8]) -> Result<(), IoError> {
        self.seek(plane)?;
        self.file.read_exact(into).map_err(|e| IoError::system("read", &self.path, e))
    }

    fn wrong_number(&self) -> IoError {
        IoError::content(&self.path, "the number of values does not fit the header")
    }
}

/// The planes of a raw file, with what its header says.
pub(crate) struct RawSource {
    pub(crate) raw: RawFile,
    pub(crate) header: Header,
}

impl Source for RawSource {
    fn header(&self) -> &Header {
        &self.header
    }

    fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    fn read_planes(&mut self, planes: Range<usize>) -> Result<AnyArray, IoError> {
        self.raw.read(planes)
    }

    fn reads_rows(&self) -> bool {
        self.raw.reads_rows()
    }

    fn read_rows(&mut self, planes: Range<usize>, rows: Range<usize>) -> Result<AnyArray, IoError> {
        if self.raw.reads_rows() {
            return self.raw.read_rows(planes, rows);
        }
        Ok(rows_of(self.raw.read(planes)?, rows))
    }

    fn read_into(&mut self, planes: Range<usize>, into: &mut [u8]) -> Result<bool, IoError> {
        self.raw.read_into(planes, into)
    }
}

impl RawLayout {
    /// One section as an array of one plane; `None` where the number of bytes is wrong.
    fn values(&self, section: &[u8]) -> Option<AnyArray> {
        match self.stored {
            Stored::Same(dtype) => with_dtype!(dtype, T => self.plane(self.taken::<T>(section))),
            Stored::F16 => self.plane(
                self.taken::<u16>(section)
                    .into_iter()
                    .map(|bits| half::f16::from_bits(bits).to_f32())
                    .collect(),
            ),
            Stored::U64 => {
                self.plane(self.wide(section).map(|word| u64::from_le_bytes(word) as f64).collect())
            }
            Stored::I64 => {
                self.plane(self.wide(section).map(|word| i64::from_le_bytes(word) as f64).collect())
            }
            Stored::Nibbles => self.plane(nibbles(section, self.rows, self.cols)),
        }
    }

    fn plane<T: FileVoxel>(&self, values: Vec<T>) -> Option<AnyArray> {
        Array3::from_shape_vec((1, self.rows, self.cols), values).ok().map(T::wrap)
    }

    /// Every value of the component that is read.
    fn taken<T: FileVoxel>(&self, section: &[u8]) -> Vec<T> {
        let values = values_from::<T>(section, self.big_endian);
        if self.n_components == 1 {
            return values;
        }
        values.into_iter().skip(self.component).step_by(self.n_components.max(1)).collect()
    }

    /// Every 8-byte value of the component that is read, low byte first.
    fn wide<'a>(&'a self, section: &'a [u8]) -> impl Iterator<Item = [u8; 8]> + 'a {
        section.chunks_exact(8).skip(self.component).step_by(self.n_components.max(1)).map(move |word| {
            let mut word: [u8; 8] = word.try_into().unwrap_or_default();
            if self.big_endian {
                word.reverse();
            }
            word
        })
    }
}

/// Values of 4 bits, the left one of each pair in the low bits.
fn nibbles(section: &[u8], rows: usize, cols: usize) -> Vec<u8> {
    let row_bytes = cols.div_ceil(2).max(1);
    section
        .chunks_exact(row_bytes)
        .take(rows)
        .flat_map(|row| row.iter().flat_map(|byte| [byte & 15, byte >> 4]).take(cols))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(planes: usize) -> RawLayout {
        RawLayout::plain(100, Stored::Same(Dtype::U16), false, [planes, 2, 3])
    }

    #[test]
    fn files_are_cut_to_their_whole_planes() {
        let fit = |length: u64| {
            let mut cut = layout(5);
            cut.fit(length).map(|(missing, said)| (cut.planes, missing, said.is_some()))
        };
        assert_eq!(fit(160), Ok((5, 0, false)));
        assert_eq!(fit(161), Ok((5, 0, true)));
        assert_eq!(fit(159), Ok((4, 1, true)));
        assert_eq!(fit(112), Ok((1, 4, true)));
        assert!(fit(111).unwrap_err().contains("need 160 bytes, the file has 111"));
        assert!(fit(0).is_err());
    }

    #[test]
    fn planes_of_a_channel_are_counted_by_their_sections() {
        // Two channels in turn, five planes each; seven sections are there.
        for (first, planes) in [(0, 4), (1, 3)] {
            let mut cut = RawLayout { first, step: 2, n_sections: 10, ..layout(5) };
            assert_eq!(cut.fit(100 + 7 * 12).unwrap().0, 5 - planes);
            assert_eq!(cut.planes, planes);
        }
        // One after the other: nothing of the second is there.
        let mut cut = RawLayout { first: 5, n_sections: 10, ..layout(5) };
        assert!(cut.fit(100 + 5 * 12).is_err());
    }

    #[test]
    fn sizes_beyond_64_bits_are_refused() {
        let mut huge = RawLayout { rows: usize::MAX, cols: usize::MAX, ..layout(1) };
        assert!(huge.fit(1000).unwrap_err().contains("2^64"));
    }

    #[test]
    fn four_bit_values_begin_each_row_with_a_byte() {
        assert_eq!(nibbles(&[0x21, 0x03, 0x54, 0x06], 2, 3), [1, 2, 3, 4, 5, 6]);
    }
}
