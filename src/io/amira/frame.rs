//! Edges of a voxel and its place: from the bounding box, or from the coordinates of planes, rows and columns.

use super::body;
use super::header::Said;
use crate::io::error::IoError;
use crate::io::format::{Header, OpenRequest};
use crate::io::lengths::um_per;
use crate::volume::any::Voxel as _;
use crate::with_array;

/// Coordinates that are looked at, at most.
const MAX_COORDINATES: u64 = 1 << 20;
/// How far a step may be from their mean, as a share of it, for coordinates to be even: they are in single precision.
const EVEN: f64 = 1e-3;
/// How far a transformation may be from none.
const UNTURNED: f64 = 1e-6;
/// Where the unit of the coordinates may stand.
const UNITS: [&[&str]; 4] =
    [&["Units", "Coordinates"], &["Units", "coordinates"], &["Units"], &["CoordinatesUnit"]];

/// First place and edge along an axis.
type Along = (f64, f64);

/// Fills in edges and place.
pub(super) fn place(said: &Said, request: &OpenRequest<'_>, header: &mut Header) {
    header.warnings.extend(said_of_transformation(said));
    let kind = said.text(&["CoordType"]).unwrap_or("uniform").to_lowercase();
    let along = match kind.as_str() {
        "uniform" => boxed(said, header),
        "rectilinear" | "stacked" => by_coordinates(said, request, header, &kind),
        _ => {
            header.warnings.push(format!(
                "the file has {kind} coordinates, one for each voxel: they were not read, the voxel size is unknown"
            ));
            return;
        }
    };
    let Some(along) = along else {
        header.warnings.push(format!(
            "the file has no bounding box or coordinates ({kind}) that fit: the voxel size is unknown"
        ));
        return;
    };
    let edges = along.map(|(_, edge)| edge);
    match UNITS.iter().find_map(|path| um_per(said.text(path)?)) {
        Some(um) => {
            header.voxel_um = Some(edges.map(|edge| tidy(edge * um)));
            header.origin_um = along.map(|(first, _)| exact(first * um));
        }
        None => {
            let shortest = edges.iter().copied().fold(f64::INFINITY, f64::min);
            header.ratios = Some(edges.map(|edge| tidy(edge / shortest)));
        }
    }
}

/// From the bounding box, which goes from the middle of the first voxel to that of the last; of a single plane it is as thick.
fn boxed(said: &Said, header: &Header) -> Option<[Along; 3]> {
    let numbers = said.numbers(&["BoundingBox"]);
    let sides = [header.shape[0] + header.missing_planes, header.shape[1], header.shape[2]];
    let span = |axis: usize| {
        let (low, high) = (numbers.get(4 - 2 * axis)?, numbers.get(5 - 2 * axis)?);
        let edge = (high - low) / (sides[axis].max(2) - 1) as f64;
        Some((*low, Some(edge).filter(|edge| *edge > 0.0 && edge.is_finite())))
    };
    let spans = [span(0), span(1)?.into(), span(2)?.into()];
    let any = [2, 1, 0].into_iter().find_map(|axis: usize| spans[axis]?.1)?;
    Some(spans.map(|span| span.map_or((0.0, any), |(low, edge)| (low, edge.unwrap_or(any)))))
}

/// From coordinates along the axes; those that are not even are said.
fn by_coordinates(
    said: &Said,
    request: &OpenRequest<'_>,
    header: &mut Header,
    kind: &str,
) -> Option<[Along; 3]> {
    let coordinates = read(said, request).ok().flatten()?;
    let [nz, ny, nx] = [header.shape[0] + header.missing_planes, header.shape[1], header.shape[2]];
    let mut even = |from: usize, n: usize, name: &str| {
        let (along, is_even) = evenly(coordinates.get(from..from + n)?)?;
        if !is_even {
            header.warnings.push(format!(
                "the {kind} coordinates along {name} are not evenly apart: {:.6} was taken, their mean; resample the volume where it was made",
                along.1
            ));
        }
        Some(along)
    };
    if kind == "rectilinear" && coordinates.len() == nx + ny + nz {
        let (x, y) = (even(0, nx, "x"), even(nx, ny, "y"));
        let z = even(nx + ny, nz, "z");
        let any = x.or(y).or(z)?.1;
        return Some([z, y, x].map(|along| along.unwrap_or((0.0, any))));
    }
    let z = (coordinates.len() == nz).then(|| even(0, nz, "z"))?;
    let [_, y, x] = boxed(said, header)?;
    Some([z.unwrap_or((0.0, x.1)), y, x])
}

/// First place and mean step of coordinates, and whether they are even; `None` for a single one.
fn evenly(coordinates: &[f64]) -> Option<(Along, bool)> {
    let (first, last) = (coordinates.first()?, coordinates.last()?);
    let mean = (last - first) / coordinates.len().checked_sub(1).filter(|n| *n > 0)? as f64;
    let is_step = mean.is_finite() && mean > 0.0;
    let is_even = coordinates.windows(2).all(|pair| (pair[1] - pair[0] - mean).abs() <= EVEN * mean);
    is_step.then_some(((*first, mean), is_even))
}

/// All coordinates of the file, if there are not too many.
fn read(said: &Said, request: &OpenRequest<'_>) -> Result<Option<Vec<f64>>, IoError> {
    let n = said.n_defined("Coordinates").filter(|n| *n <= MAX_COORDINATES);
    let (Some(field), Some(n)) = (said.first_on("Coordinates").filter(|field| field.n_together == 1), n)
    else {
        return Ok(None);
    };
    let n = usize::try_from(n).unwrap_or(0);
    let mut source = body(said, request.path, field, [1, 1, n])?.open(request, "AmiraMesh")?;
    let values = source.read_planes(0..1)?;
    Ok(Some(with_array!(&values, values => values.iter().map(|v| v.to_f64()).collect())))
}

/// What is said of a transformation, which is not applied.
fn said_of_transformation(said: &Said) -> Option<String> {
    let matrix = said.numbers(&["TransformationMatrix"]);
    let none = |n: usize| if n.is_multiple_of(5) { 1.0 } else { 0.0 };
    let is_turned = matrix.len() == 16 && (0..16).any(|n| (matrix[n] - none(n)).abs() > UNTURNED);
    is_turned.then(|| {
        "the file moves or turns the volume in its world (TransformationMatrix, in the metadata): that was not applied"
            .to_owned()
    })
}

/// Without the last digits that a quotient makes up.
fn tidy(value: f64) -> f64 {
    format!("{value:.9e}").parse().unwrap_or(value)
}

/// Without the last digits that a product makes up.
fn exact(value: f64) -> f64 {
    format!("{value:.13e}").parse().unwrap_or(value)
}
