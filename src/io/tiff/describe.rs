//! Descriptions as they are written: lines for ImageJ, OME-XML, and our own line of JSON.

use super::ome::OWN_SPACE;
use super::said::OWN_LINE;
use crate::io::array::Dtype;
use crate::io::format::WriteRequest;
use crate::io::sidecar::Sidecar;

/// For whom a file is described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    ImageJ,
    Ome,
    /// For ourselves only; other programs take each directory as a plane.
    Plain,
}

/// Lines of text: ImageJ's, where it reads such values, and our own.
pub(super) fn description(n_planes: usize, dialect: Dialect, request: &WriteRequest<'_>) -> String {
    let mut lines = String::new();
    if dialect == Dialect::ImageJ {
        lines.push_str(&format!("ImageJ=1.54f\nimages={n_planes}\nslices={n_planes}\nloop=false\n"));
        if let Some([z, ..]) = request.voxel_um {
            lines.push_str(&format!("unit=um\nspacing={z}\n"));
        }
    }
    if let Some(unit) = request.unit {
        lines.push_str(&format!("value_unit={}\n", unit.ascii()));
    }
    lines.push_str(&format!("{OWN_LINE}{}\n", Sidecar::of(request).without_objects().to_ascii_json()));
    lines
}

fn type_name(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "float",
        Dtype::F64 => "double",
        other => other.name(),
    }
}

/// OME-XML of one image with one channel. Lengths are in µm, which the schema assumes where no unit is given.
pub(super) fn ome_xml([z, y, x]: [usize; 3], dtype: Dtype, request: &WriteRequest<'_>) -> String {
    const SPACE: &str = "http://www.openmicroscopy.org/Schemas/OME/2016-06";
    let size = request.voxel_um.map_or_else(String::new, |[z, y, x]| {
        format!(r#" PhysicalSizeX="{x}" PhysicalSizeY="{y}" PhysicalSizeZ="{z}""#)
    });
    let own = escaped(&Sidecar::of(request).without_objects().to_ascii_json());
    let (version, kind) = (env!("CARGO_PKG_VERSION"), type_name(dtype));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{SPACE}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="{SPACE} {SPACE}/ome.xsd" Creator="Waterwindow {version}"><Image ID="Image:0" Name="volume"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="{kind}" BigEndian="false" SizeX="{x}" SizeY="{y}" SizeZ="{z}" SizeC="1" SizeT="1"{size}><Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" FirstZ="0" FirstC="0" FirstT="0" PlaneCount="{z}"/></Pixels><AnnotationRef ID="Annotation:0"/></Image><StructuredAnnotations><CommentAnnotation ID="Annotation:0" Namespace="{OWN_SPACE}"><Value>{own}</Value></CommentAnnotation></StructuredAnnotations></OME>"#
    )
}

/// Text with what XML keeps for itself replaced.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
