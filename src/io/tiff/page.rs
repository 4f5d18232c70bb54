//! One page: its size, the type of its samples, and where its strips or tiles lie.

use std::fs::File;

use super::codec::Codec;
use super::container::{Container, Directory};
use crate::io::array::Dtype;

/// Numbers of the tags that are read.
pub(super) mod tag {
    pub(in super::super) const SUBFILE: u16 = 254;
    pub(in super::super) const WIDTH: u16 = 256;
    pub(in super::super) const HEIGHT: u16 = 257;
    pub(in super::super) const BITS: u16 = 258;
    pub(in super::super) const COMPRESSION: u16 = 259;
    pub(in super::super) const PHOTOMETRIC: u16 = 262;
    pub(in super::super) const FILL_ORDER: u16 = 266;
    pub(in super::super) const DESCRIPTION: u16 = 270;
    pub(in super::super) const STRIP_OFFSETS: u16 = 273;
    pub(in super::super) const ORIENTATION: u16 = 274;
    pub(in super::super) const SAMPLES: u16 = 277;
    pub(in super::super) const ROWS_PER_STRIP: u16 = 278;
    pub(in super::super) const STRIP_BYTES: u16 = 279;
    pub(in super::super) const X_RESOLUTION: u16 = 282;
    pub(in super::super) const Y_RESOLUTION: u16 = 283;
    pub(in super::super) const PLANAR: u16 = 284;
    pub(in super::super) const FAX_OPTIONS: u16 = 292;
    pub(in super::super) const RESOLUTION_UNIT: u16 = 296;
    pub(in super::super) const PREDICTOR: u16 = 317;
    pub(in super::super) const TILE_WIDTH: u16 = 322;
    pub(in super::super) const TILE_HEIGHT: u16 = 323;
    pub(in super::super) const TILE_OFFSETS: u16 = 324;
    pub(in super::super) const TILE_BYTES: u16 = 325;
    pub(in super::super) const SUB_IFDS: u16 = 330;
    pub(in super::super) const EXTRA_SAMPLES: u16 = 338;
    pub(in super::super) const SAMPLE_FORMAT: u16 = 339;
    pub(in super::super) const JPEG_TABLES: u16 = 347;
    pub(in super::super) const SUBSAMPLING: u16 = 530;
    pub(in super::super) const DEPTH: u16 = 32997;
    pub(in super::super) const TILE_DEPTH: u16 = 32998;
    pub(in super::super) const GDAL_METADATA: u16 = 42112;
    pub(in super::super) const NO_DATA: u16 = 42113;
}

/// How a sample is stored: kind and number of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stored {
    Unsigned(u8),
    Signed(u8),
    Float(u8),
}

impl Stored {
    /// Bits of a sample.
    pub(super) fn bits(self) -> usize {
        match self {
            Self::Unsigned(bits) | Self::Signed(bits) | Self::Float(bits) => usize::from(bits),
        }
    }

    /// The type that holds every value.
    pub(super) fn dtype(self) -> Dtype {
        match self {
            Self::Unsigned(..=8) => Dtype::U8,
            Self::Unsigned(..=16) => Dtype::U16,
            Self::Unsigned(..=32) => Dtype::U32,
            Self::Signed(..=8) => Dtype::I8,
            Self::Signed(..=16) => Dtype::I16,
            Self::Signed(..=32) => Dtype::I32,
            Self::Float(..=32) => Dtype::F32,
            Self::Unsigned(_) | Self::Signed(_) | Self::Float(_) => Dtype::F64,
        }
    }
}

/// What pages of one stack have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Form {
    /// Planes, rows, columns of one page.
    pub(super) shape: [usize; 3],
    pub(super) n_samples: usize,
    pub(super) stored: Stored,
}

/// A page that can be read.
#[derive(Debug, Clone)]
pub(super) struct Page {
    pub(super) form: Form,
    pub(super) codec: Codec,
    pub(super) predictor: u64,
    /// Whether samples lie in planes of their own.
    pub(super) is_planar: bool,
    /// What the samples mean: 0 white is 0, 1 black is 0, 2 RGB, 3 palette, 5 CMYK, 6 YCbCr.
    pub(super) photometric: u64,
    /// Planes, rows, columns of a strip or tile.
    pub(super) piece: [usize; 3],
    pub(super) is_tiled: bool,
    pub(super) offsets: Vec<u64>,
    pub(super) counts: Vec<u64>,
    /// How many strips or tiles are not in the file.
    pub(super) n_missing: usize,
    no_data: Option<f64>,
}

fn side(n: u64, what: &str) -> Result<usize, String> {
    match usize::try_from(n) {
        Ok(n) if n > 0 && n <= 1 << 31 => Ok(n),
        _ => Err(format!("a page of {n} {what}")),
    }
}

impl Form {
    /// Reads size and type; cheap, for all pages are looked at.
    pub(super) fn of(container: &Container, file: &File, from: &Directory) -> Result<Self, String> {
        let count = |tag| container.count(file, from, tag);
        let missing = |what: &str| format!("a page that does not say its {what}");
        let rows = side(count(tag::HEIGHT)?.ok_or_else(|| missing("height"))?, "rows")?;
        let cols = side(count(tag::WIDTH)?.ok_or_else(|| missing("width"))?, "columns")?;
        let planes = side(count(tag::DEPTH)?.unwrap_or(1).max(1), "planes")?;
        let n_samples = side(count(tag::SAMPLES)?.unwrap_or(1), "samples")?;
        let bits = container.numbers(file, from, tag::BITS)?;
        let first = bits.first().copied().unwrap_or(1);
        if bits.iter().take(n_samples).any(|bits| *bits != first) {
            return Err(format!(
                "TIFF samples of different widths ({bits:?} bits) are not read; save each on its own"
            ));
        }
        let format = count(tag::SAMPLE_FORMAT)?.unwrap_or(1);
        Ok(Self { shape: [planes, rows, cols], n_samples, stored: stored(format, first)? })
    }
}

fn stored(format: u64, bits: u64) -> Result<Stored, String> {
    let width = u8::try_from(bits).unwrap_or(u8::MAX);
    match (format, bits) {
        (1 | 4, 1..=32 | 64) => Ok(Stored::Unsigned(width)),
        (2, 2..=32 | 64) => Ok(Stored::Signed(width)),
        (3, 16 | 24 | 32 | 64) => Ok(Stored::Float(width)),
        (5 | 6, _) => Err(format!(
            "TIFF values that are complex numbers of {bits} bits are not read; save amplitude or phase as real numbers"
        )),
        _ => Err(format!(
            "TIFF values of {bits} bits and sample format {format} are not read; save them as 8, 16 or 32 bits"
        )),
    }
}

/// Number of pieces that cover a length.
fn n_pieces(length: usize, piece: usize) -> usize {
    length.div_ceil(piece.max(1))
}

/// The value that a page names for no data (GDAL_NODATA).
pub(super) fn no_data(container: &Container, file: &File, from: &Directory) -> Option<f64> {
    container.text(file, from, tag::NO_DATA)?.trim().parse().ok()
}

/// Whether a page may lack strips or tiles; cheap, for all pages are asked.
pub(super) fn may_lack(container: &Container, file: &File, from: &Directory) -> bool {
    let places = [tag::STRIP_OFFSETS, tag::STRIP_BYTES, tag::TILE_OFFSETS, tag::TILE_BYTES];
    places.iter().any(|tag| container.numbers(file, from, *tag).is_ok_and(|numbers| numbers.contains(&0)))
}

impl Page {
    /// Reads everything that is needed to read the values.
    pub(super) fn of(container: &Container, file: &File, from: &Directory) -> Result<Self, String> {
        let form = Form::of(container, file, from)?;
        let count = |tag| container.count(file, from, tag);
        let photometric = count(tag::PHOTOMETRIC)?.unwrap_or(1);
        let codec = Codec::of(container, file, from, photometric)?;
        let is_tiled = from.has(tag::TILE_WIDTH) && from.has(tag::TILE_OFFSETS);
        let [planes, rows, cols] = form.shape;
        let piece = if is_tiled {
            [
                side(count(tag::TILE_DEPTH)?.unwrap_or(1).max(1), "planes a tile")?.min(planes),
                side(count(tag::TILE_HEIGHT)?.unwrap_or(0), "rows a tile")?,
                side(count(tag::TILE_WIDTH)?.unwrap_or(0), "columns a tile")?,
            ]
        } else {
            let per_strip = count(tag::ROWS_PER_STRIP)?.filter(|n| *n > 0).unwrap_or(u64::MAX);
            [1, usize::try_from(per_strip).unwrap_or(usize::MAX).min(rows), cols]
        };
        let (offsets, counts) = if is_tiled {
            (tag::TILE_OFFSETS, tag::TILE_BYTES)
        } else {
            (tag::STRIP_OFFSETS, tag::STRIP_BYTES)
        };
        let offsets = container.numbers(file, from, offsets)?;
        let counts = container.numbers(file, from, counts)?;
        let page = Self {
            form,
            codec,
            predictor: count(tag::PREDICTOR)?.unwrap_or(1),
            is_planar: form.n_samples > 1 && count(tag::PLANAR)? == Some(2),
            photometric,
            piece,
            is_tiled,
            offsets,
            counts,
            n_missing: 0,
            no_data: no_data(container, file, from),
        };
        page.checked(container, file, from)
    }

    fn checked(mut self, container: &Container, file: &File, from: &Directory) -> Result<Self, String> {
        let n = self.n_pieces();
        if self.offsets.len() < n {
            let what = if self.is_tiled { "tiles" } else { "strips" };
            return Err(format!(
                "damaged TIFF: {n} {what} make a page, {} are there; copy it again",
                self.offsets.len()
            ));
        }
        if self.photometric == 6 && !self.codec.is_jpeg() {
            let steps = container.numbers(file, from, tag::SUBSAMPLING)?;
            if self.form.n_samples == 3 && steps != [1, 1] {
                return Err(
                    "a TIFF with colours at a lower resolution (YCbCr) is not read; save it as RGB or grey"
                        .to_owned(),
                );
            }
        }
        if !matches!(self.predictor, 1..=3) {
            return Err(format!("TIFF predictor {} is not known", self.predictor));
        }
        let bits = self.form.stored.bits();
        if self.predictor == 3 && !matches!(self.form.stored, Stored::Float(_)) {
            return Err(format!(
                "damaged TIFF: the predictor of real numbers on whole numbers of {bits} bits"
            ));
        }
        let needed = self.piece_bytes().ok_or("damaged TIFF: a strip beyond 64 bits")?;
        if self.codec.is_plain() {
            self.supply_counts(n, needed);
        }
        if self.counts.len() < n {
            return Err("damaged TIFF: the lengths of its strips are missing; copy it again".to_owned());
        }
        self.n_missing = (0..n).filter(|piece| self.is_missing(*piece)).count();
        Ok(self)
    }

    /// Gives strips whose length none of them says as many bytes as they must have.
    ///
    /// Where only some are of length 0 they are missing, as a sparse file has them.
    fn supply_counts(&mut self, n: usize, whole: usize) {
        if self.counts.len() >= n && self.counts[..n].iter().any(|count| *count > 0) {
            return;
        }
        let rows = self.grid()[1].max(1);
        let cols = self.grid()[2].max(1);
        let per_row = (whole / self.piece[1].max(1)) as u64;
        let bytes = |piece: usize| per_row * self.rows_in_piece(piece / cols % rows) as u64;
        self.counts = (0..n).map(bytes).collect();
    }

    /// Whether the piece of this number is not in the file: nothing lies at the offset 0, where the file begins.
    /// Sources: GDAL (SPARSE_OK), tifffile.
    pub(super) fn is_missing(&self, piece: usize) -> bool {
        self.offsets.get(piece) == Some(&0) || self.counts.get(piece) == Some(&0)
    }

    /// What stands where a strip or tile is missing: the value for no data that the page names, else 0.
    pub(super) fn filling(&self) -> f64 {
        let whole = |low: f64, bits: i32, v: f64| v.fract() == 0.0 && v >= low && v < low + 2f64.powi(bits);
        let holds = |v: &f64| match self.form.stored {
            Stored::Float(_) => true,
            Stored::Unsigned(bits) => whole(0.0, i32::from(bits), *v),
            Stored::Signed(bits) => whole(-2f64.powi(i32::from(bits) - 1), i32::from(bits), *v),
        };
        self.no_data.filter(holds).unwrap_or(0.0)
    }

    /// Pieces along planes, rows, columns.
    pub(super) fn grid(&self) -> [usize; 3] {
        let [planes, rows, cols] = self.form.shape;
        [n_pieces(planes, self.piece[0]), n_pieces(rows, self.piece[1]), n_pieces(cols, self.piece[2])]
    }

    /// Strips or tiles of the whole page.
    pub(super) fn n_pieces(&self) -> usize {
        let samples = if self.is_planar { self.form.n_samples } else { 1 };
        self.grid().iter().fold(samples, |n, along| n.saturating_mul(*along))
    }

    /// The number of the piece at a place of the grid.
    pub(super) fn piece_index(&self, sample: usize, [plane, row, col]: [usize; 3]) -> usize {
        let [planes, rows, cols] = self.grid();
        let sample = if self.is_planar { sample } else { 0 };
        ((sample * planes + plane) * rows + row) * cols + col
    }

    /// Samples of a pixel in one piece.
    pub(super) fn samples_in_piece(&self) -> usize {
        if self.is_planar { 1 } else { self.form.n_samples }
    }

    /// Bytes of a row of a piece; rows begin at a byte.
    pub(super) fn row_bytes(&self) -> Option<usize> {
        let bits =
            self.piece[2].checked_mul(self.samples_in_piece())?.checked_mul(self.form.stored.bits())?;
        Some(bits.div_ceil(8))
    }

    /// Bytes of a whole piece.
    pub(super) fn piece_bytes(&self) -> Option<usize> {
        self.row_bytes()?.checked_mul(self.piece[1])?.checked_mul(self.piece[0])
    }

    /// Rows that the piece in row `row` of the grid really has: a last strip is shorter, a last tile is not.
    pub(super) fn rows_in_piece(&self, row: usize) -> usize {
        if self.is_tiled {
            self.piece[1]
        } else {
            self.piece[1].min(self.form.shape[1] - row * self.piece[1])
        }
    }

    /// Where the last byte of its values lies, as far as it is said.
    pub(super) fn end(&self) -> u64 {
        let pieces = self.offsets.iter().zip(&self.counts).filter(|(at, n)| **at > 0 && **n > 0);
        pieces.map(|(at, n)| at.saturating_add(*n)).max().unwrap_or(0)
    }

    /// Where the values begin and how many bytes they are, where they lie in one piece without gaps and
    /// uncompressed.
    pub(super) fn contiguous(&self) -> Option<(u64, u64)> {
        if !self.codec.is_plain() || self.is_tiled || self.n_missing > 0 {
            return None;
        }
        let first = *self.offsets.first()?;
        let mut end = first;
        for (at, n) in self.offsets.iter().zip(&self.counts) {
            if *at != end {
                return None;
            }
            end = at.checked_add(*n)?;
        }
        let per_plane = self.row_bytes()?.checked_mul(self.form.shape[1])?;
        let whole =
            per_plane.checked_mul(self.form.shape[0])? * if self.is_planar { self.form.n_samples } else { 1 };
        (whole as u64 == end - first).then_some((first, end - first))
    }
}
