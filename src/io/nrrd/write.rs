//! NRRD as written: values behind the header, little-endian; those of labels packed by gzip.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{OWN_KEY, segments};
use crate::base::Progress;
use crate::io::array::{Dtype, write_values};
use crate::io::error::IoError;
use crate::io::format::WriteRequest;
use crate::io::room;
use crate::io::sidecar::Sidecar;
use crate::io::walk::Values;

/// Level of gzip: labels are as small at the quick levels.
const LEVEL: u32 = 4;

/// Where values go.
enum Out {
    Plain(File),
    Packed(GzEncoder<BufWriter<File>>),
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Packed(packer) => packer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Packed(packer) => packer.flush(),
        }
    }
}

impl Out {
    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Packed(packer) => packer.finish()?.flush(),
        }
    }
}

/// Writes values.
pub(super) fn write(
    path: &Path,
    values: Values<'_>,
    request: &WriteRequest<'_>,
    progress: &Progress,
) -> Result<Vec<String>, IoError> {
    let (mut out, losses) = create(path, &values, request)?;
    let system = |e| IoError::system("write", path, e);
    values.for_each(progress, |planes| write_values(&planes, &mut out).map_err(system))?;
    out.finish().map_err(system)?;
    Ok(losses)
}

/// Whether a name is that of a segmentation of 3D Slicer; the name may still be a temporary one.
fn is_segmentation(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().to_lowercase().contains(".seg.nrrd"))
}

fn create(
    path: &Path,
    values: &Values<'_>,
    request: &WriteRequest<'_>,
) -> Result<(Out, Vec<String>), IoError> {
    let is_packed = request.keeps_ids();
    let is_segmentation = is_packed && is_segmentation(path);
    let head = head(values.shape(), values.dtype(), request, is_segmentation);
    let room = if is_packed { 0 } else { values.n_bytes().saturating_add(head.len() as u64) };
    let mut file = room::create(path, room).map_err(|e| IoError::system("create", path, e))?;
    file.write_all(head.as_bytes()).map_err(|e| IoError::system("write", path, e))?;
    let losses = (is_segmentation && request.voxel_um.is_some())
        .then(|| "3D Slicer takes lengths for mm: its rulers say mm where µm are meant".to_owned());
    let out = if is_packed {
        Out::Packed(GzEncoder::new(BufWriter::with_capacity(1 << 18, file), Compression::new(LEVEL)))
    } else {
        Out::Plain(file)
    };
    Ok((out, losses.into_iter().collect()))
}

fn head(shape: [usize; 3], dtype: Dtype, request: &WriteRequest<'_>, is_segmentation: bool) -> String {
    let [z, y, x] = shape;
    let mut head = "NRRD0005\n".to_owned();
    let mut line = |text: &str| {
        head.push_str(text);
        head.push('\n');
    };
    line(&format!("type: {}", type_name(dtype)));
    line("dimension: 3");
    if is_segmentation {
        line("space: left-posterior-superior");
    } else if request.voxel_um.is_some() {
        line("space dimension: 3");
    }
    line(&format!("sizes: {x} {y} {z}"));
    if let Some([dz, dy, dx]) = request.voxel_um {
        let [oz, oy, ox] = request.origin_um;
        line(&format!("space directions: ({dx},0,0) (0,{dy},0) (0,0,{dz})"));
        line("space units: \"um\" \"um\" \"um\"");
        line(&format!("space origin: ({ox},{oy},{oz})"));
    } else if let Some([dz, dy, dx]) = request.ratios {
        line(&format!("spacings: {dx} {dy} {dz}"));
    }
    line("kinds: domain domain domain");
    if dtype.n_bytes() > 1 {
        line("endian: little");
    }
    line(if request.keeps_ids() { "encoding: gzip" } else { "encoding: raw" });
    let mut keys = if is_segmentation { segments::keys(request, shape) } else { Vec::new() };
    let own = Sidecar::of(request).without_objects();
    keys.push((OWN_KEY.to_owned(), own.to_ascii_json()));
    for (key, value) in keys {
        // An end of a line would end the value.
        let _ = writeln!(head, "{key}:={}", value.replace('\\', "\\\\").replace('\n', "\\n"));
    }
    head.push('\n');
    head
}

fn type_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::U8 => "uint8",
        Dtype::I8 => "int8",
        Dtype::U16 => "uint16",
        Dtype::I16 => "int16",
        Dtype::U32 => "uint32",
        Dtype::I32 => "int32",
        Dtype::F32 => "float",
        Dtype::F64 => "double",
    }
}
