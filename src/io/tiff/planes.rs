//! Planes from their strips and tiles, straight into the final array, with all threads.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::container::{Container, read_at};
use super::page::Page;
use super::samples::{is_direct, pick, to_native};
use crate::io::array::FileVoxel;

/// Bytes that one thread reads at once.
const RUN_BYTES: usize = 4 << 20;

/// Whether some rows of a plane of this page can be read without the others.
pub(super) fn has_rows<T: FileVoxel>(page: &Page) -> bool {
    page.codec.is_plain() && page.predictor == 1 && is_direct::<T>(page) && page.n_missing == 0
}

/// Where the values of one plane are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// Which file of a set.
    pub(super) file: usize,
    /// The directory.
    pub(super) directory: u64,
    /// Bytes from where the directory says, for planes that lie behind the one that it describes.
    pub(super) shift: u64,
    /// Plane within the page.
    pub(super) plane: usize,
    /// Sample of a pixel.
    pub(super) sample: usize,
}

/// Strips or tiles that a sparse file lacks.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Missing {
    n: usize,
    of: usize,
    are_tiles: bool,
    filling: f64,
}

impl Missing {
    /// What the user has to know.
    pub(super) fn said(self) -> String {
        let Self { n, of, filling, .. } = self;
        let what = if self.are_tiles { "tiles" } else { "strips" };
        let value = if filling == 0.0 {
            "0".to_owned()
        } else {
            format!("{filling}, its value for no data (GDAL_NODATA)")
        };
        format!(
            "{n} of {of} {what} are missing in the file (a sparse TIFF) and were read as {value}; mask them, or copy the file again where they should be there"
        )
    }
}

/// A plane to be filled.
struct Plane {
    spot: Spot,
    page: Arc<Page>,
    file: Arc<File>,
    big_endian: bool,
    length: u64,
}

/// The files of a stack; planes are read from them.
pub(super) struct Planes {
    pub(super) files: Vec<Container>,
    /// Rows and columns.
    pub(super) size: [usize; 2],
    /// Whether pages may lack some of their strips or tiles.
    pub(super) may_lack: bool,
    /// The page that was looked at last, with its file and its directory.
    last: Mutex<Option<(usize, u64, Arc<Page>)>>,
}

impl Planes {
    pub(super) fn new(files: Vec<Container>, [_, rows, cols]: [usize; 3]) -> Self {
        Self { files, size: [rows, cols], may_lack: false, last: Mutex::new(None) }
    }

    /// Fills `out` with the planes at `spots`, one after the other.
    pub(super) fn read<T: FileVoxel>(&self, spots: &[Spot], out: &mut [T]) -> Result<(), String> {
        let planes = self.planes(spots)?;
        let is_simple = |page: &Page| page.codec.is_plain() && is_direct::<T>(page) && page.n_missing == 0;
        if planes.iter().all(|plane| is_simple(&plane.page)) {
            return self.read_plain(&planes, out);
        }
        let n = self.size[0] * self.size[1];
        let mut groups: Vec<(&[Plane], &mut [T])> = Vec::new();
        let mut rest = out;
        for group in planes.chunk_by(Plane::is_in_piece_with) {
            let (values, behind) = rest.split_at_mut(n * group.len());
            groups.push((group, values));
            rest = behind;
        }
        groups.into_par_iter().try_for_each(|(group, values)| self.read_group(group, values))
    }

    /// Fills `out` with some rows of the planes at `spots`; false where they cannot be read without the others.
    pub(super) fn read_rows<T: FileVoxel>(
        &self,
        spots: &[Spot],
        rows: Range<usize>,
        out: &mut [T],
    ) -> Result<bool, String> {
        let n = (rows.len() * self.size[1]).max(1);
        for (plane, values) in self.planes(spots)?.iter().zip(out.chunks_exact_mut(n)) {
            if !has_rows::<T>(&plane.page) {
                return Ok(false);
            }
            let bytes = bytemuck::cast_slice_mut(values);
            plane.read_rows(rows.clone(), bytes)?;
            to_native(bytes, &plane.page, plane.big_endian)?;
        }
        Ok(true)
    }

    /// How many of the planes at `spots` the files hold, up to the last whole one.
    pub(super) fn n_whole(&self, spots: &[Spot]) -> Result<usize, String> {
        let mut n = spots.len();
        while n > 0 {
            let plane = &self.planes(&spots[n - 1..n])?[0];
            let end = plane.page.end().saturating_add(plane.spot.shift);
            if end <= plane.length {
                break;
            }
            n -= 1;
        }
        Ok(n)
    }

    /// How many strips or tiles of the pages at `spots` are missing, of how many, and the value that stands for them.
    pub(super) fn missing(&self, spots: &[Spot]) -> Result<Option<Missing>, String> {
        let mut found: Option<Missing> = None;
        for of_page in spots.chunk_by(|a, b| (a.file, a.directory) == (b.file, b.directory)) {
            let page = Arc::clone(&self.planes(&of_page[..1])?[0].page);
            let sum = found.get_or_insert(Missing { filling: page.filling(), ..Missing::default() });
            sum.n += page.n_missing;
            sum.of += page.n_pieces();
            sum.are_tiles |= page.is_tiled;
        }
        Ok(found.filter(|missing| missing.n > 0))
    }

    fn planes(&self, spots: &[Spot]) -> Result<Vec<Plane>, String> {
        let mut files: BTreeMap<usize, Arc<File>> = BTreeMap::new();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let mut planes = Vec::with_capacity(spots.len());
        for spot in spots {
            let container = self.files.get(spot.file).ok_or("a file of the set is missing")?;
            let file = match files.get(&spot.file) {
                Some(file) => Arc::clone(file),
                None => Arc::clone(files.entry(spot.file).or_insert(container.file()?)),
            };
            let page = match &*last {
                Some((of, at, page)) if (*of, *at) == (spot.file, spot.directory) => Arc::clone(page),
                _ => Arc::new(Page::of(container, &file, &container.directory(&file, spot.directory)?)?),
            };
            if page.form.shape[1..] != self.size || spot.plane >= page.form.shape[0] {
                return Err("a page of another size".to_owned());
            }
            *last = Some((spot.file, spot.directory, Arc::clone(&page)));
            let (big_endian, length) = (container.big_endian, container.length);
            planes.push(Plane { spot: *spot, page, file, big_endian, length });
        }
        Ok(planes)
    }

    /// Uncompressed strips: what lies in a row in the file is read in a row.
    fn read_plain<T: FileVoxel>(&self, planes: &[Plane], out: &mut [T]) -> Result<(), String> {
        let mut runs: Vec<(&Plane, u64, usize)> = Vec::new();
        for plane in planes {
            for row in 0..plane.page.grid()[1] {
                let n = plane.piece_bytes(row);
                let (at, _) = plane.place([plane.spot.plane, row, 0])?;
                match runs.last_mut() {
                    Some((of, from, length))
                        if of.spot.file == plane.spot.file
                            && *from + *length as u64 == at
                            && *length < RUN_BYTES =>
                    {
                        *length += n;
                    }
                    _ => runs.push((plane, at, n)),
                }
            }
        }
        let mut rest: &mut [u8] = bytemuck::cast_slice_mut(&mut *out);
        let mut jobs = Vec::with_capacity(runs.len());
        for (plane, at, n) in runs {
            let (bytes, behind) = rest.split_at_mut(n);
            jobs.push((plane, at, bytes));
            rest = behind;
        }
        jobs.into_par_iter().try_for_each(|(plane, at, bytes)| {
            bytes.par_chunks_mut(RUN_BYTES).enumerate().try_for_each(|(i, bytes)| {
                read_at(&plane.file, bytes, at + (i * RUN_BYTES) as u64).map_err(|e| e.to_string())
            })
        })?;
        let n = self.size[0] * self.size[1];
        let is_done =
            |plane: &Plane| plane.page.predictor == 1 && (size_of::<T>() == 1 || !plane.is_swapped());
        if planes.iter().all(is_done) {
            return Ok(());
        }
        planes.par_iter().zip(out.par_chunks_mut(n)).try_for_each(|(plane, values)| {
            to_native(bytemuck::cast_slice_mut(values), &plane.page, plane.big_endian)
        })
    }

    fn read_group<T: FileVoxel>(&self, group: &[Plane], out: &mut [T]) -> Result<(), String> {
        let Some(first) = group.first() else { return Ok(()) };
        let page = &first.page;
        let band = page.piece[1].saturating_mul(self.size[1]);
        if let [plane] = group {
            let rows = out.par_chunks_mut(band).enumerate();
            return rows.try_for_each(|(row, values)| {
                if is_direct::<T>(page) {
                    return plane.read_strip(row, values);
                }
                let planes = [plane.spot.plane];
                self.read_pieces(plane, &planes, row, &mut [values])
            });
        }
        let planes: Vec<usize> = group.iter().map(|plane| plane.spot.plane).collect();
        let mut bands: Vec<_> =
            out.chunks_mut(self.size[0] * self.size[1]).map(|plane| plane.chunks_mut(band)).collect();
        for row in 0..page.grid()[1] {
            let mut values: Vec<&mut [T]> = bands.iter_mut().filter_map(Iterator::next).collect();
            self.read_pieces(first, &planes, row, &mut values)?;
        }
        Ok(())
    }

    /// One row of pieces; `planes` of the page lie in them, `values` are their rows.
    fn read_pieces<T: FileVoxel>(
        &self,
        plane: &Plane,
        planes: &[usize],
        row: usize,
        values: &mut [&mut [T]],
    ) -> Result<(), String> {
        let page = &plane.page;
        let [depth, height, width] = page.piece;
        let row_bytes = page.row_bytes().unwrap_or(0).max(1);
        let n_rows = page.rows_in_piece(row);
        for col in 0..page.grid()[2] {
            let at = [planes.first().copied().unwrap_or(0) / depth, row, col];
            let cols = col * width..((col + 1) * width).min(self.size[1]);
            if plane.is_missing(at) {
                let filling = T::from_f64(page.filling());
                let rows = values.iter_mut().flat_map(|values| values.chunks_exact_mut(self.size[1]));
                rows.for_each(|row| row[cols.clone()].fill(filling));
                continue;
            }
            let mut words = vec![0u64; (row_bytes * n_rows * depth).div_ceil(8)];
            let bytes: &mut [u8] = &mut bytemuck::cast_slice_mut(&mut words)[..row_bytes * n_rows * depth];
            plane.unpack(at, bytes)?;
            to_native(bytes, page, plane.big_endian)?;
            for (in_page, values) in planes.iter().zip(values.iter_mut()) {
                let from = (in_page % depth) * height.min(n_rows);
                let rows = bytes.chunks_exact(row_bytes).skip(from);
                for (row, values) in rows.zip(values.chunks_exact_mut(self.size[1])) {
                    pick(row, page, plane.spot.sample, plane.big_endian, &mut values[cols.clone()]);
                }
            }
        }
        Ok(())
    }
}

impl Plane {
    /// Whether both planes come out of the same pieces.
    fn is_in_piece_with(&self, other: &Self) -> bool {
        let depth = self.page.piece[0];
        let same = Spot { plane: other.spot.plane, ..self.spot } == other.spot;
        depth > 1 && same && self.spot.plane / depth == other.spot.plane / depth
    }

    fn is_swapped(&self) -> bool {
        self.big_endian != cfg!(target_endian = "big")
    }

    /// Bytes of a piece in row `row` of the grid, unpacked.
    fn piece_bytes(&self, row: usize) -> usize {
        self.page.row_bytes().unwrap_or(0) * self.page.rows_in_piece(row) * self.page.piece[0]
    }

    /// Whether a piece is not in the file.
    fn is_missing(&self, at: [usize; 3]) -> bool {
        self.page.is_missing(self.page.piece_index(self.spot.sample, at))
    }

    /// Where a piece lies and how many bytes it has.
    fn place(&self, at: [usize; 3]) -> Result<(u64, u64), String> {
        let index = self.page.piece_index(self.spot.sample, at);
        let place = self.page.offsets.get(index).zip(self.page.counts.get(index));
        let (offset, n) = place.ok_or("damaged TIFF: a strip is missing; copy it again")?;
        let offset = offset.checked_add(self.spot.shift).ok_or("damaged TIFF: an offset beyond 64 bits")?;
        let n = if self.page.codec.is_plain() {
            let needed = self.piece_bytes(at[1]) as u64;
            if *n < needed {
                return Err(format!("damaged TIFF: a strip of {n} bytes that needs {needed}; copy it again"));
            }
            needed
        } else {
            *n
        };
        if offset.checked_add(n).is_none_or(|end| end > self.length) {
            return Err(format!(
                "the file ends before its data do: {n} bytes at {offset} of {}; copy it again",
                self.length
            ));
        }
        Ok((offset, n))
    }

    /// The bytes of a piece, unpacked.
    fn unpack(&self, at: [usize; 3], out: &mut [u8]) -> Result<(), String> {
        let (offset, n) = self.place(at)?;
        if self.page.codec.is_plain() {
            let n = out.len().min(usize::try_from(n).unwrap_or(usize::MAX));
            return read_at(&self.file, &mut out[..n], offset).map_err(|e| e.to_string());
        }
        let mut packed = vec![0; usize::try_from(n).map_err(|_e| format!("a strip of {n} bytes"))?];
        read_at(&self.file, &mut packed, offset).map_err(|e| e.to_string())?;
        let width = self.page.piece[2];
        self.page.codec.unpack(packed, out, width).map_err(|e| format!("a strip or tile at {offset}: {e}"))
    }

    /// Rows that lie in strips as they are.
    fn read_rows(&self, rows: Range<usize>, out: &mut [u8]) -> Result<(), String> {
        let (row_bytes, per_strip) = (self.page.row_bytes().unwrap_or(0), self.page.piece[1].max(1));
        let (mut row, mut rest) = (rows.start, out);
        while row < rows.end {
            let strip = row / per_strip;
            let end = rows.end.min((strip + 1) * per_strip);
            let (bytes, behind) = rest.split_at_mut(((end - row) * row_bytes).min(rest.len()));
            let (at, _) = self.place([self.spot.plane, strip, 0])?;
            let skipped = (row - strip * per_strip) * row_bytes;
            read_at(&self.file, bytes, at + skipped as u64).map_err(|e| e.to_string())?;
            (row, rest) = (end, behind);
        }
        Ok(())
    }

    /// A strip whose rows are those of the plane.
    fn read_strip<T: FileVoxel>(&self, row: usize, out: &mut [T]) -> Result<(), String> {
        let at = [self.spot.plane, row, 0];
        if self.is_missing(at) {
            out.fill(T::from_f64(self.page.filling()));
            return Ok(());
        }
        let bytes = bytemuck::cast_slice_mut(out);
        self.unpack(at, bytes)?;
        to_native(bytes, &self.page, self.big_endian)
    }
}
