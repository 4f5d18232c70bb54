//! The head of a NIfTI file, of either version and byte order.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::io::array::Dtype;
use crate::io::error::IoError;
use crate::io::raw::Stored;

/// Bytes of the heads of version 1 and 2.
pub(super) const HEAD: [usize; 2] = [348, 540];
/// Labels, by the intent of a file.
pub(super) const LABEL: i32 = 1002;
/// How far two places of one image may be apart, in voxels: they are in single precision.
const APART: f64 = 0.05;
/// Most that the voxel's offset may be: extensions stand before it.
const MOST_BEFORE: u64 = 1 << 32;

/// Whether these bytes begin a NIfTI file.
pub(super) fn is_nifti(head: &[u8]) -> bool {
    let one = head.get(344..348).is_some_and(|magic| matches!(magic, b"n+1\0" | b"ni1\0"));
    let two = head.get(4..8).is_some_and(|magic| matches!(magic, b"n+2\0" | b"ni2\0"));
    (one && size(head).is_some_and(|(n, _)| n == HEAD[0]))
        || (two && size(head).is_some_and(|(n, _)| n == HEAD[1]))
}

/// Whether these bytes may begin the head of Analyze 7.5, which has no mark but its length.
pub(super) fn is_analyze(head: &[u8]) -> bool {
    let Some((n, big_endian)) = size(head) else { return false };
    let sides = Bytes { bytes: head, big_endian }.i16(40);
    n == HEAD[0] && sides.is_some_and(|n| (1..=7).contains(&n))
}

/// The length that a head says it has, and whether it is big-endian.
fn size(head: &[u8]) -> Option<(usize, bool)> {
    let word = <[u8; 4]>::try_from(head.get(..4)?).ok()?;
    [(u32::from_le_bytes(word), false), (u32::from_be_bytes(word), true)].into_iter().find_map(
        |(n, big_endian)| {
            let n = usize::try_from(n).ok()?;
            HEAD.contains(&n).then_some((n, big_endian))
        },
    )
}

/// Numbers at places of the head.
struct Bytes<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Bytes<'_> {
    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes = <[u8; N]>::try_from(self.bytes.get(at..at + N)?).ok()?;
        if self.big_endian {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn i16(&self, at: usize) -> Option<i16> {
        self.take(at).map(i16::from_le_bytes)
    }

    fn i32(&self, at: usize) -> Option<i32> {
        self.take(at).map(i32::from_le_bytes)
    }

    fn i64(&self, at: usize) -> Option<i64> {
        self.take(at).map(i64::from_le_bytes)
    }

    fn f32(&self, at: usize) -> Option<f64> {
        self.take(at).map(|bytes| f64::from(f32::from_le_bytes(bytes)))
    }

    /// A length in single precision as it was meant: 0.01, not the 0.009999999776 that is nearest to it.
    fn length(&self, at: usize) -> Option<f64> {
        self.take(at).and_then(|bytes| f32::from_le_bytes(bytes).to_string().parse().ok())
    }

    fn f64(&self, at: usize) -> Option<f64> {
        self.take(at).map(f64::from_le_bytes)
    }

    fn text(&self, at: usize, n: usize) -> String {
        let bytes = self.bytes.get(at..at + n).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        String::from_utf8_lossy(&bytes[..end]).trim().to_owned()
    }
}

/// Everything that a head says.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) big_endian: bool,
    /// Whether the values lie in another file.
    pub(super) is_pair: bool,
    /// Planes, rows, columns.
    pub(super) shape: [usize; 3],
    pub(super) n_times: usize,
    pub(super) n_apart: usize,
    kind: i32,
    pub(super) values_at: u64,
    /// Where the values begin, as the file says.
    begin: f64,
    /// Factor and offset, where these change anything; of complex numbers they count for both parts.
    pub(super) scale: Option<[f64; 2]>,
    /// Edges along columns, rows and planes.
    pub(super) edges: [f64; 3],
    /// The left handed factor of the quaternion.
    handed: f64,
    /// µm in the unit of length, where there is one.
    pub(super) um: Option<f64>,
    /// Rows of the matrix that places voxels by `sform`, and what quaternion and offset of `qform` say.
    pub(super) sform: Option<[[f64; 4]; 3]>,
    qform: Option<([f64; 3], [f64; 3])>,
    pub(super) is_label: bool,
    pub(super) description: String,
    pub(super) intent: String,
    pub(super) warnings: Vec<String>,
}

impl Said {
    /// Reads the head of a file.
    pub(super) fn read(path: &Path) -> Result<Self, IoError> {
        let system = |e| IoError::system("read", path, e);
        let mut head = Vec::new();
        File::open(path).map_err(system)?.take(HEAD[1] as u64).read_to_end(&mut head).map_err(system)?;
        Self::parse(&head).map_err(|problem| IoError::content(path, problem))
    }

    fn parse(head: &[u8]) -> Result<Self, String> {
        let (n, big_endian) = size(head).ok_or("no head of NIfTI")?;
        if head.len() < n {
            return Err(format!("truncated: a head of {n} bytes, the file has {}", head.len()));
        }
        let bytes = Bytes { bytes: head, big_endian };
        let mut said = if n == HEAD[0] { Self::first(&bytes) } else { Self::second(&bytes) }
            .ok_or("a head that ends too soon")?;
        said.big_endian = big_endian;
        let sides = if n == HEAD[0] {
            (0..8).map(|axis| bytes.i16(40 + 2 * axis).map(i64::from)).collect::<Option<Vec<i64>>>()
        } else {
            (0..8).map(|axis| bytes.i64(16 + 8 * axis)).collect()
        };
        said.sides(&sides.ok_or("a head that ends too soon")?)?;
        said.begins(n)?;
        Ok(said)
    }

    fn first(b: &Bytes<'_>) -> Option<Self> {
        let magic = b.bytes.get(344..348)?;
        let mut said = Self {
            is_pair: magic != b"n+1\0",
            kind: i32::from(b.i16(70)?),
            edges: [b.length(80)?, b.length(84)?, b.length(88)?],
            handed: b.f32(76)?,
            is_label: i32::from(b.i16(68)?) == LABEL,
            description: b.text(148, 80),
            begin: b.f32(108)?,
            ..Self::default()
        };
        if !is_nifti(b.bytes) {
            said.is_label = false;
            // Where Analyze has a spare number, SPM keeps a factor.
            said.scaled([b.f32(112)?, 0.0]);
            said.warnings.push(
                "a head of Analyze 7.5: it does not say how the image lies, nor its unit of length"
                    .to_owned(),
            );
            return Some(said);
        }
        said.intent = b.text(328, 16);
        said.scaled([b.f32(112)?, b.f32(116)?]);
        said.units(i32::from(*b.bytes.get(123)?));
        let three = |at: usize| Some([b.length(at)?, b.length(at + 4)?, b.length(at + 8)?]);
        let row = |at: usize| three(at).and_then(|[x, y, z]| Some([x, y, z, b.length(at + 12)?]));
        said.sform = if b.i16(254)? > 0 { Some([row(280)?, row(296)?, row(312)?]) } else { None };
        said.qform = if b.i16(252)? > 0 { Some((three(256)?, three(268)?)) } else { None };
        Some(said)
    }

    fn second(b: &Bytes<'_>) -> Option<Self> {
        let mut said = Self {
            is_pair: b.bytes.get(4..8)? != b"n+2\0",
            kind: i32::from(b.i16(12)?),
            edges: [b.f64(112)?, b.f64(120)?, b.f64(128)?],
            handed: b.f64(104)?,
            is_label: b.i32(504)? == LABEL,
            description: b.text(240, 80),
            intent: b.text(508, 16),
            begin: b.i64(168)? as f64,
            ..Self::default()
        };
        said.scaled([b.f64(176)?, b.f64(184)?]);
        said.units(b.i32(500)?);
        let row = |at: usize| Some([b.f64(at)?, b.f64(at + 8)?, b.f64(at + 16)?, b.f64(at + 24)?]);
        said.sform = if b.i32(348)? > 0 { Some([row(400)?, row(432)?, row(464)?]) } else { None };
        let three = |at: usize| Some([b.f64(at)?, b.f64(at + 8)?, b.f64(at + 16)?]);
        said.qform = if b.i32(344)? > 0 { Some((three(352)?, three(376)?)) } else { None };
        Some(said)
    }

    /// Takes where the values begin; those of a single file stand behind its head of `n` bytes, whatever it says.
    fn begins(&mut self, n: usize) -> Result<(), String> {
        let least = if self.is_pair { 0 } else { n as u64 + 4 };
        if self.begin.is_nan() || self.begin > MOST_BEFORE as f64 {
            return Err(format!("values that begin at byte {}", self.begin));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what is below 0 is clamped"
        )]
        let at = self.begin as u64;
        self.values_at = at.max(least);
        if self.values_at != at {
            self.warnings.push(format!(
                "the values are said to begin at byte {}, within the head: they were read from byte {least} on",
                self.begin
            ));
        }
        Ok(())
    }

    fn scaled(&mut self, [factor, offset]: [f64; 2]) {
        if !factor.is_finite() || factor == 0.0 || [factor, offset] == [1.0, 0.0] {
            return;
        }
        if self.is_colour() {
            self.warnings
                .push(format!("a factor of {factor} and an offset of {offset} do not count for colours"));
            return;
        }
        if !offset.is_finite() {
            self.warnings.push(format!("the offset of the values, {offset}, is no number: 0 was taken"));
        }
        let offset = if offset.is_finite() { offset } else { 0.0 };
        self.scale = ([factor, offset] != [1.0, 0.0]).then_some([factor, offset]);
    }

    fn is_colour(&self) -> bool {
        matches!(self.kind, 128 | 2304)
    }

    fn units(&mut self, code: i32) {
        self.um = match code & 7 {
            1 => Some(1e6),
            2 => Some(1e3),
            3 => Some(1.0),
            _ => None,
        };
    }

    /// Sides: columns, rows, planes, times, and what is left counts channels.
    fn sides(&mut self, sides: &[i64]) -> Result<(), String> {
        let n = usize::try_from(sides[0]).ok().filter(|n| (1..=7).contains(n));
        let n = n.ok_or_else(|| format!("an image of {} axes; 1 to 7 are possible", sides[0]))?;
        let side = |axis: usize| -> Result<usize, String> {
            if axis > n {
                return Ok(1);
            }
            usize::try_from(sides[axis])
                .ok()
                .filter(|n| *n > 0)
                .ok_or_else(|| format!("a side of {}", sides[axis]))
        };
        self.shape = [side(3)?, side(2)?, side(1)?];
        self.n_times = side(4)?;
        self.n_apart = [side(5)?, side(6)?, side(7)?]
            .into_iter()
            .try_fold(1usize, usize::checked_mul)
            .ok_or("more channels than can be counted")?;
        Ok(())
    }

    /// The type of the values.
    pub(super) fn stored(&self) -> Result<Stored, String> {
        Ok(match self.kind {
            2 | 128 | 2304 => Stored::Same(Dtype::U8),
            256 => Stored::Same(Dtype::I8),
            4 => Stored::Same(Dtype::I16),
            512 => Stored::Same(Dtype::U16),
            8 => Stored::Same(Dtype::I32),
            768 => Stored::Same(Dtype::U32),
            1024 => Stored::I64,
            1280 => Stored::U64,
            16 | 32 => Stored::Same(Dtype::F32),
            64 | 1792 => Stored::Same(Dtype::F64),
            1 => return Err("values of one bit, which are not read: write them anew as bytes".to_owned()),
            1536 | 2048 => {
                return Err("values of 128 bits, which are not read: write them anew as float64".to_owned());
            }
            other => return Err(format!("values of the unknown type {other}")),
        })
    }

    /// Numbers of a voxel that lie together: colours, and the two of complex ones.
    pub(super) fn n_together(&self) -> usize {
        match self.kind {
            128 => 3,
            2304 => 4,
            32 | 1792 => 2,
            _ => 1,
        }
    }

    /// Rows of the matrix that gives the place (x, y, z) of a voxel (column, row, plane), in the unit of the file.
    pub(super) fn matrix(&self) -> Option<[[f64; 4]; 3]> {
        self.sform.or_else(|| self.by_turn())
    }

    /// Whether `sform` and `qform` place the image far apart.
    pub(super) fn has_two_places(&self) -> bool {
        let (Some(one), Some(other)) = (self.sform, self.by_turn()) else { return false };
        let [nz, ny, nx] = self.shape.map(|side| side as f64 - 1.0);
        let far = |row: usize| {
            let apart = |n: usize| (one[row][n] - other[row][n]).abs();
            apart(3) + apart(0) * nx + apart(1) * ny + apart(2) * nz
        };
        let smallest = self.edges.iter().map(|edge| edge.abs()).fold(f64::INFINITY, f64::min);
        (0..3).any(|row| far(row) > APART * smallest)
    }

    /// The matrix that quaternion and offset of `qform` mean.
    fn by_turn(&self) -> Option<[[f64; 4]; 3]> {
        let ([b, c, d], [x, y, z]) = self.qform?;
        let a = (1.0 - b * b - c * c - d * d).max(0.0).sqrt();
        let [ex, ey, ez] = self.edges.map(f64::abs);
        let ez = if self.handed < 0.0 { -ez } else { ez };
        Some([
            [(a * a + b * b - c * c - d * d) * ex, 2.0 * (b * c - a * d) * ey, 2.0 * (b * d + a * c) * ez, x],
            [2.0 * (b * c + a * d) * ex, (a * a + c * c - b * b - d * d) * ey, 2.0 * (c * d - a * b) * ez, y],
            [2.0 * (b * d - a * c) * ex, 2.0 * (c * d + a * b) * ey, (a * a + d * d - b * b - c * c) * ez, z],
        ])
    }
}
